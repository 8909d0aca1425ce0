"""Whether a generator copies: how near synthetic images lie to training images, against real images it never saw.

Every figure here compares with held-out real images. These and innocent synthetic images of the same distribution
can't be told apart by their distance to the training set, whatever that set looks like; a copy can.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from synthbench.metrics.features import check_features, whole

LEVEL = 0.05
"""Share of the held-out images that are nearer to a training image than the yardstick."""

MARGIN = 0.5
"""A copy is nearer than this part of the yardstick."""

CELL = 50
"""Held-out images for each cell of `data_copying`."""

_BLOCK = 512
_ROUNDS = 25


class Nearness(TypedDict):
    """What `nearness` returns.

    Attributes
    ----------
    yardstick : float
        A distance that few held-out images undercut: the k-th smallest of m, k = max(1, ⌊LEVEL · (m + 1)⌋).
    expected : float
        k / (m + 1): the share of innocent images that is at most that far, in the mean, whatever the distribution.
    near : float
        The share of the synthetic images that is at most that far.
    copies : list of int
        Positions of the synthetic images nearer than `MARGIN` times the yardstick.
    z : float
        Mann-Whitney's: how far the synthetic images as a whole are nearer (below 0) or farther than held-out ones.
        Standard normal for innocent images: below −3 in 0.13 % of such sets.
    median, median_held_out : float
        Of the distances.
    """

    yardstick: float
    expected: float
    near: float
    copies: list[int]
    z: float
    median: float
    median_held_out: float


def nearest_training(images: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Find the nearest training image of each image, whichever way round it lies.

    The distance is Euclidean between pictures that were shifted to mean 0 and scaled to length 1, √(2 − 2r) with
    the correlation r: brightness and contrast don't hide a copy. Its smallest value over the eight flips and
    rotations is taken. All correlations are matrix products in single precision; the distance of the winner is then
    taken in double.

    Parameters
    ----------
    images, training
        ``(n, side, side)`` and ``(m, side, side)``, n ≥ 0, m ≥ 1: grey pictures, shrunk to one size.

    Returns
    -------
    distance : ndarray
        ``(n,)`` float64, 0 … 2; √2 where one of the two has no structure.
    index : ndarray
        ``(n,)`` int64: which training image.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    images, training = _pictures(images, "images"), _pictures(training, "training")
    if images.shape[1] != training.shape[1]:
        raise ValueError(f"training: pictures of {training.shape[1]} pixels a side, and images have {images.shape[1]}")
    if len(training) == 0:
        raise ValueError("training: there are no pictures")
    turned = _symmetries(images)
    best = np.full(len(images), -np.inf, np.float32)
    index, turn = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    columns = training.reshape(len(training), -1).astype(np.float32)
    for side, variant in enumerate(turned):
        rows = variant.reshape(len(images), -1).astype(np.float32)
        for start in range(0, len(training), _BLOCK):
            table = rows @ columns[start : start + _BLOCK].T
            top = table.argmax(axis=1)
            value = table[np.arange(len(table)), top]
            won = value > best
            best[won], index[won], turn[won] = value[won], start + top[won], side
    gap = turned[turn, np.arange(len(images))] - training[index]
    distance = np.sqrt((gap**2).sum(axis=(1, 2)))
    blank = ~images.any(axis=(1, 2)) | ~training[index].any(axis=(1, 2))
    return np.where(blank, np.sqrt(2.0), distance), index


def yardstick(held_out: np.ndarray) -> float:
    """Return a distance that few of these undercut: the k-th smallest of m, k = max(1, ⌊LEVEL · (m + 1)⌋)."""
    return float(np.sort(held_out)[_rank(held_out) - 1])


def _rank(held_out: np.ndarray) -> int:
    return max(1, int(LEVEL * (len(held_out) + 1)))


def nearness(synthetic: np.ndarray, held_out: np.ndarray) -> Nearness:
    """Judge distances of synthetic images to their nearest training image by those of held-out real images.

    The yardstick and the margin are such that a set of innocent images raises a false alarm seldom: see the tests,
    where real images stand for synthetic ones.

    Parameters
    ----------
    synthetic, held_out
        ``(n,)`` and ``(m,)``, n, m ≥ 1: distances, 0 or more, as `nearest_training` gives them.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    synthetic, held_out = _distances(synthetic, "synthetic"), _distances(held_out, "held_out")
    limit = yardstick(held_out)
    return Nearness(
        yardstick=limit,
        expected=_rank(held_out) / (len(held_out) + 1),
        near=float((synthetic <= limit).mean()),
        copies=np.flatnonzero(synthetic < MARGIN * limit).tolist(),
        z=_mann_whitney(synthetic, held_out),
        median=float(np.median(synthetic)),
        median_held_out=float(np.median(held_out)),
    )


def authenticity(training: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the share of the synthetic images that don't crowd a training image (Alaa 2022).

    A synthetic image is authentic when it is farther from its nearest training image than that one is from its
    nearest other training image. The authors' code looks for the synthetic neighbour of each real image instead;
    this is the paper's definition. Innocent images don't reach 1: compare with the figure of held-out real images.

    Parameters
    ----------
    training, synthetic
        ``(n, d)`` and ``(m, d)`` features, n ≥ 2, m ≥ 1.

    Returns
    -------
    float
        0 … 1.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    training, synthetic = _features(training, synthetic, "synthetic")
    if len(training) < 2:
        raise ValueError(f"training: {len(training)} images; 2 are needed")
    centre = training.mean(axis=0)
    training, synthetic = training - centre, synthetic - centre
    distance, index = _nearest(synthetic, training)
    others = _nearest(training, training, itself=False)[0]
    return float((distance > others[index]).mean())


def data_copying(
    training: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray, *, cells: int | None = None
) -> float:
    """Return C_T (Meehan 2020): are synthetic images nearer to training images than held-out real ones are?

    Feature space is parted into cells by k-means on the training images. In each, Mann-Whitney's statistic compares
    the distances to the nearest training image; C_T is the mean of its z over the cells, weighted by the share of
    held-out images in each. Cells without a held-out or a synthetic image are left out. The nearest training image
    may lie in another cell.

    Parameters
    ----------
    training, held_out, synthetic
        ``(n, d)``, ``(m, d)`` and ``(k, d)`` features.
    cells
        How many; by default one for every `CELL` held-out images, at least one, no more than there are training images,
        and half as many again and again until one holds both a held-out and a synthetic image.

    Returns
    -------
    float
        For innocent images, standard normal with one cell and narrower with more. Below −3: copies. Far above 0: the
        synthetic images are farther from the training images than real ones are.

    Raises
    ------
    ValueError
        If an argument can't be used, or none of the `cells` that were asked for holds both; the message names it.
    """
    training, held_out = _features(training, held_out, "held_out")
    training, synthetic = _features(training, synthetic, "synthetic")
    if cells is not None:
        whole(cells, "cells")
        if cells > len(training):
            raise ValueError(f"cells: {cells}; give 1 … {len(training)}, the number of training images")
    centre = training.mean(axis=0)
    training, held_out, synthetic = training - centre, held_out - centre, synthetic - centre
    real, drawn = _nearest(held_out, training)[0], _nearest(synthetic, training)[0]
    number = min(max(1, len(held_out) // CELL), len(training)) if cells is None else cells
    while True:
        middles = _middles(training, number)
        places = [_nearest(part, middles)[1] for part in (held_out, synthetic)]
        found = [(real[places[0] == cell], drawn[places[1] == cell]) for cell in range(number)]
        shared = [(here, there) for here, there in found if len(here) and len(there)]
        if shared:
            return sum(len(here) * _mann_whitney(there, here) for here, there in shared) / sum(
                len(here) for here, _ in shared
            )
        if cells is not None:
            raise ValueError(f"cells: none of the {cells} holds a held-out and a synthetic image; take fewer")
        number //= 2


def _mann_whitney(first: np.ndarray, second: np.ndarray) -> float:
    """Return the z of Mann-Whitney's U, ties counted; below 0 when the first are smaller."""
    from scipy.stats import rankdata

    n, m = len(first), len(second)
    together = np.concatenate([first, second])
    u = rankdata(together)[:n].sum() - n * (n + 1) / 2
    ties = np.unique(together, return_counts=True)[1].astype(np.float64)
    spread = n * m / 12 * ((n + m + 1) - (ties**3 - ties).sum() / ((n + m) * (n + m - 1)))
    return float((u - n * m / 2) / np.sqrt(spread)) if spread > 0 else 0.0


def _middles(training: np.ndarray, cells: int) -> np.ndarray:
    """Return the centres of k-means (Lloyd), from a fixed choice of training images."""
    middles = training[np.random.default_rng((0, 23)).permutation(len(training))[:cells]]
    for _ in range(_ROUNDS):
        nearest = _nearest(training, middles)[1]
        moved = np.stack([
            training[nearest == i].mean(axis=0) if (nearest == i).any() else middle for i, middle in enumerate(middles)
        ])  # fmt: skip
        if np.array_equal(moved, middles):
            break
        middles = moved
    return middles


def _nearest(x: np.ndarray, y: np.ndarray, *, itself: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return distance and position of the nearest row of y for each row of x; with itself=False, x is y."""
    index = np.empty(len(x), np.int64)
    lengths = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), _BLOCK):
        table = lengths - 2 * (x[start : start + _BLOCK] @ y.T)
        if not itself:
            here = np.arange(len(table))
            table[here, start + here] = np.inf
        index[start : start + _BLOCK] = table.argmin(axis=1)
    return np.linalg.norm(x - y[index], axis=1), index


def _symmetries(pictures: np.ndarray) -> np.ndarray:
    """Return ``(8, n, side, side)``: the pictures under the flips and rotations of the square."""
    return np.stack([np.rot90(part, k, axes=(1, 2)) for part in (pictures, pictures[:, :, ::-1]) for k in range(4)])


def _pictures(given: np.ndarray, name: str) -> np.ndarray:
    """Return pictures as float64 of mean 0 and length 1; those without structure are all 0."""
    array = np.asarray(given)
    if array.ndim != 3 or array.shape[1] != array.shape[2] or array.shape[1] < 2:
        raise ValueError(f"{name}: shape {array.shape}; give square pictures, (n, side, side)")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: {array.dtype} are no pictures; give real numbers")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a pixel isn't finite")
    size = np.abs(array).max(axis=(1, 2), initial=0.0)
    array -= array.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((array**2).sum(axis=(1, 2)))
    flat = length <= 1e-9 * size * array.shape[1]
    array[flat] = 0.0
    return array / np.where(flat, 1.0, length)[:, None, None]


def _distances(given: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(given)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: shape {array.shape}, {array.dtype}; give a list of distances, one per image")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name}: a distance is negative, or isn't finite")
    return array.astype(np.float64)


def _features(training: np.ndarray, other: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    return check_features(training, other, least=1, names=("training", name))
