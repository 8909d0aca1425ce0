"""Precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020) of synthetic features."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from synthbench.metrics.features import check_features

NEIGHBOURS = 5
_BLOCK = 1024


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


def prdc(real: np.ndarray, synthetic: np.ndarray, neighbours: int = NEIGHBOURS) -> Manifolds:
    """Compare two sets of features by the balls that reach to each one's k-th nearest neighbour in its own set.

    Parameters
    ----------
    real, synthetic
        ``(n, d)`` and ``(m, d)``, n, m > neighbours.
    neighbours
        k.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours: {neighbours}; give 1 or more")
    real, synthetic = check_features(real, synthetic, least=neighbours + 1, names=("real", "synthetic"))
    centre = real.mean(axis=0)
    real, synthetic = real - centre, synthetic - centre
    real_radii, synthetic_radii = _radii(real, neighbours), _radii(synthetic, neighbours)
    in_real = np.zeros(len(synthetic), np.int64)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(real), _BLOCK):
        rows = slice(start, start + _BLOCK)
        squared = _squared(real[rows], synthetic)
        inside = squared < real_radii[rows, None]
        in_real += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (squared < synthetic_radii[None]).any(axis=1)
    return Manifolds(
        precision=float((in_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(in_real.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def _radii(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Return the squared distance of each row to its k-th nearest other row."""
    radii = np.empty(len(x))
    for start in range(0, len(x), _BLOCK):
        squared = _squared(x[start : start + _BLOCK], x)
        here = np.arange(len(squared))
        squared[here, start + here] = 0.0
        radii[start : start + _BLOCK] = np.partition(squared, neighbours, axis=1)[:, neighbours]
    return radii


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lengths = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    return np.maximum(lengths - 2 * (x @ y.T), 0.0)
