"""The kernel distance of two sets of features (Bińkowski 2018): KID, when the features are Inception's."""

from __future__ import annotations

import numpy as np

from synthbench.metrics.features import check_features, whole
from synthbench.types import AnyArray

__all__ = [
    "BLOCK",
    "DRAWS",
    "PERMUTATIONS",
    "PERMUTATION_BLOCK",
    "kernel_distance",
    "kernel_interval",
    "permutation_test",
]

DRAWS = 1000
PERMUTATIONS = 1999
"""Permutations behind a p-value: it comes in steps of 1/2,000."""
BLOCK = 1024
"""Rows of the kernel matrix that are computed at once."""
PERMUTATION_BLOCK = 256
"""Permutations that are computed at once."""
_ROUNDING = 1e-12
"""Two distances that differ by less than this part of the kernel's mean size are one."""


def kernel_distance(x: AnyArray, y: AnyArray) -> float:
    """Estimate the squared maximum mean discrepancy without bias, from all pairs of images.

    The kernel is ``(a·b / d + 1)³``. No subsets are drawn: the usual 100 subsets of 1,000 only add noise to this
    figure.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``, n, m ≥ 2.

    Returns
    -------
    float
        0 in the mean when both come from one distribution, so half of such figures are below 0.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    x, y = check_features(x, y)
    return float(_weighted(x, y, np.ones((1, len(x))), np.ones((1, len(y))))[0])


def kernel_interval(
    x: AnyArray, y: AnyArray, seed: int, *, draws: int = DRAWS, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap an interval for `kernel_distance`: the images of both sets are drawn again with replacement.

    Copies of one image don't meet each other in the sums, so the draws keep the estimate's centre. Where the two
    distributions are the same the interval is wider than need be.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``, n, m ≥ 2.
    seed
        The same seed gives the same interval.
    draws
        Bootstrap draws.
    level
        Share of the draws inside, 0 … 1.

    Returns
    -------
    tuple of float
        Low and high end.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    x, y = check_features(x, y)
    whole(draws, "draws")
    whole(seed, "seed", 0)
    if not 0 < level < 1:
        raise ValueError(f"level: {level}; give a share between 0 and 1")
    rng = np.random.default_rng((seed, 11))
    often_x, often_y = (_resample(rng, len(part), draws) for part in (x, y))
    low, high = np.quantile(_weighted(x, y, often_x, often_y), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation_test(x: AnyArray, y: AnyArray, seed: int, *, permutations: int = PERMUTATIONS) -> float:
    """Return how often a random division of all images gives a `kernel_distance` as large as that of x and y.

    Images of both sets are dealt out anew, as many to each side as before. Where all were drawn independently from one
    distribution, the p-value is at most α in at most a share α of such tests, however few images there are. Images
    that belong together (frames of a film, fields of a well) aren't independent: then small values come too often.

    Parameters
    ----------
    x, y
        ``(n, d)`` and ``(m, d)``, n, m ≥ 2.
    seed
        The same seed gives the same permutations.
    permutations
        How many.

    Returns
    -------
    float
        ``(1 + as large) / (1 + permutations)``: above 0, at most 1.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    x, y = check_features(x, y)
    whole(permutations, "permutations")
    whole(seed, "seed", 0)
    first, second = sorted((x, y), key=len)
    rng = np.random.default_rng((seed, 13))
    total = len(first) + len(second)
    chosen = np.zeros((permutations + 1, total), bool)
    chosen[0, : len(first)] = True
    for row in chosen[1:]:
        row[rng.permutation(total)[: len(first)]] = True
    found, size = _divided(np.concatenate([first, second]), chosen)
    as_large = int((found[1:] >= found[0] - _ROUNDING * size).sum())
    return (1 + as_large) / (1 + permutations)


def _divided(images: AnyArray, chosen: AnyArray) -> tuple[AnyArray, float]:
    """Return the kernel distance of each choice of images from the others, and the kernel's mean size.

    Parameters
    ----------
    images
        ``(n, d)``.
    chosen
        ``(choices, n)`` bool, equally many in each row.
    """
    here, total = int(chosen[0].sum()), len(images)
    there = total - here
    inside, ends, everything, size = np.zeros(len(chosen)), np.zeros(len(chosen)), 0.0, 0.0
    for start in range(0, total, BLOCK):
        rows = slice(start, start + BLOCK)
        kernel = _kernel(images[rows], images)
        np.fill_diagonal(kernel[:, start:], 0.0)
        everything += kernel.sum()
        size += np.abs(kernel).sum()
        for first in range(0, len(chosen), PERMUTATION_BLOCK):
            part = slice(first, first + PERMUTATION_BLOCK)
            inner = chosen[part, rows].astype(np.float64) @ kernel
            ends[part] += inner.sum(axis=1)
            inside[part] += np.einsum("bi,bi->b", inner, chosen[part])
    between, outside = ends - inside, everything - 2 * ends + inside
    found = inside / (here * (here - 1)) + outside / (there * (there - 1)) - 2 * between / (here * there)
    return found, size / (total * (total - 1))


def _resample(rng: np.random.Generator, n: int, draws: int) -> AnyArray:
    """Return ``(draws, n)``: how often each image is drawn; never one image alone, which has no pair."""
    often = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    while (alone := (often > 0).sum(axis=1) < 2).any():
        often[alone] = rng.multinomial(n, np.full(n, 1 / n), size=int(alone.sum()))
    return often


def _weighted(x: AnyArray, y: AnyArray, often_x: AnyArray, often_y: AnyArray) -> AnyArray:
    """Return the unbiased estimate for each row of weights."""
    estimates: AnyArray = (
        _within(x, often_x)
        + _within(y, often_y)
        - 2 * _sums(x, y, often_x, often_y) / (often_x.sum(axis=1) * often_y.sum(axis=1))
    )
    return estimates


def _within(x: AnyArray, often: AnyArray) -> AnyArray:
    """Return the weighted mean of the kernel over pairs of two images of one set."""
    itself = (np.einsum("ij,ij->i", x, x) / x.shape[1] + 1) ** 3
    pairs = often.sum(axis=1) ** 2 - (often**2).sum(axis=1)
    means: AnyArray = (_sums(x, x, often, often) - often**2 @ itself) / pairs
    return means


def _sums(x: AnyArray, y: AnyArray, often_x: AnyArray, often_y: AnyArray) -> AnyArray:
    """Return the weighted sum of the kernel over all pairs, block by block."""
    total = np.zeros(len(often_x))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        kernel = _kernel(x[rows], y)
        total += np.einsum("bi,bi->b", often_x[:, rows] @ kernel, often_y)
    return total


def _kernel(x: AnyArray, y: AnyArray) -> AnyArray:
    """Return ``(n, m)``: the cubic kernel of each two images."""
    kernel: AnyArray = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel
