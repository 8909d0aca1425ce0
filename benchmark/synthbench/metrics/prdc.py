"""Precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020) of synthetic features."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from synthbench.metrics.features import check_features, whole
from synthbench.types import AnyArray

__all__ = ["BLOCK", "NEIGHBOURS", "Manifolds", "prdc"]

NEIGHBOURS = 5
BLOCK = 1024
"""Rows of the matrix of distances that are computed at once."""


class Manifolds(TypedDict):
    """What `prdc` returns; each in 0 … 1, but `density`, which has no upper end.

    Attributes
    ----------
    precision : float
        Share of the synthetic images that lie in the ball of some real one: is what is drawn believable?
    recall : float
        Share of the real images that lie in the ball of some synthetic one: is everything drawn?
    density : float
        Real balls around a synthetic image, divided by k: precision that outliers don't raise.
    coverage : float
        Share of the real images with a synthetic one in their ball: recall that outliers don't raise.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: AnyArray, synthetic: AnyArray, neighbours: int = NEIGHBOURS) -> Manifolds:
    """Compare two sets of features by the balls that reach to each one's k-th nearest neighbour in its own set.

    Parameters
    ----------
    real, synthetic
        ``(n, d)`` and ``(m, d)``, n, m > neighbours.
    neighbours
        Number of nearest neighbours, k.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    whole(neighbours, "neighbours")
    real, synthetic = check_features(real, synthetic, least=neighbours + 1, names=("real", "synthetic"))
    real_radii, synthetic_radii = _radii(real, neighbours), _radii(synthetic, neighbours)
    in_real = np.zeros(len(synthetic), np.int64)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        inside, around = _within(real[rows], synthetic, real_radii[rows], synthetic_radii)
        in_real += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = around.any(axis=1)
    return Manifolds(
        precision=float((in_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(in_real.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def _radii(x: AnyArray, neighbours: int) -> AnyArray:
    """Return the squared distance of each row to its k-th nearest other row."""
    radii = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        squared = _squared(x[start : start + BLOCK], x)[0]
        here = np.arange(len(squared))
        squared[here, start + here] = -1.0
        kth = np.argpartition(squared, neighbours, axis=1)[:, neighbours]
        radii[start : start + BLOCK] = _exact(x[start + here], x[kth])
    return radii


def _within(x: AnyArray, y: AnyArray, x_radii: AnyArray, y_radii: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return, ``(x, y)``, what lies within the balls of x, and within those of y.

    Sets of copies hold many distances that equal a radius, and those aren't within: where rounding could decide, the
    distance is taken once more, in the same way as the radius.
    """
    squared, doubt = _squared(x, y)
    for radii in (x_radii[:, None], y_radii[None]):
        rows, columns = np.nonzero(np.abs(squared - radii) <= doubt)
        squared[rows, columns] = _exact(x[rows], y[columns])
    return squared < x_radii[:, None], squared < y_radii[None]


def _squared(x: AnyArray, y: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return squared distances from one matrix product, and how far rounding may move each."""
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    lengths = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    return np.maximum(lengths - 2 * (x @ y.T), 0.0), 1e-12 * lengths


def _exact(x: AnyArray, y: AnyArray) -> AnyArray:
    """Return the squared distance of each row of x from the same row of y, without cancellation."""
    return np.concatenate([
        ((x[start : start + BLOCK] - y[start : start + BLOCK]) ** 2).sum(axis=1)
        for start in range(0, max(len(x), 1), BLOCK)
    ])  # fmt: skip
