"""Whether synthetic images are too near to training images in feature space: authenticity and C_T."""

from __future__ import annotations

import numpy as np

from synthbench.metrics._rank_test import mann_whitney
from synthbench.metrics.features import check_features, whole
from synthbench.types import AnyArray

__all__ = ["HELD_OUT_PER_CELL", "authenticity", "data_copying"]

HELD_OUT_PER_CELL = 50
"""Held-out images for each cell of `data_copying`."""

_BLOCK = 512
_K_MEANS_STEPS = 25


def authenticity(training: AnyArray, synthetic: AnyArray, *, block: int = _BLOCK) -> float:
    """Return the fraction of the synthetic images that are authentic (Alaa 2022).

    A synthetic image is authentic when it is farther from its nearest training image than that training image is from
    its nearest other training image. The authors' code searches the synthetic neighbour of each real image instead;
    this is the paper's definition. Independent images don't reach 1: compare with the value of held-out real images.

    Parameters
    ----------
    training, synthetic
        ``(n, d)`` and ``(m, d)`` features, n ≥ 2, m ≥ 1.
    block
        Images that are compared at a time; bounds the memory, changes no result.

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
        raise ValueError(f"training: {len(training)} images; expected at least 2")
    centre = training.mean(axis=0)
    training, synthetic = training - centre, synthetic - centre
    distance, index = _nearest(synthetic, training, block)
    others = _nearest(training, training, block, exclude_self=True)[0]
    return float((distance > others[index]).mean())


def data_copying(training: AnyArray, held_out: AnyArray, synthetic: AnyArray, *, cells: int | None = None) -> float:
    """Return C_T (Meehan 2020): are synthetic images nearer to training images than held-out real ones are?

    Feature space is divided into cells by k-means on the training images. In each cell, the Mann–Whitney test compares
    the distances to the nearest training image; C_T is the mean of its z over the cells, weighted by the fraction of
    the held-out images in each. Cells without a held-out or a synthetic image are left out. The nearest training image
    may lie in another cell.

    Parameters
    ----------
    training, held_out, synthetic
        ``(n, d)``, ``(m, d)`` and ``(k, d)`` features.
    cells
        Number of cells. By default one for every `HELD_OUT_PER_CELL` held-out images, at least one and no more than
        there are training images; halved until a cell holds both a held-out and a synthetic image.

    Returns
    -------
    float
        Standard normal for independent images with one cell, narrower with more. Below −3: copies. Far above 0: the
        synthetic images are farther from the training images than real ones are.

    Raises
    ------
    ValueError
        If an argument can't be used, or no cell of a given number holds both; the message names it.
    """
    training, held_out = _features(training, held_out, "held_out")
    training, synthetic = _features(training, synthetic, "synthetic")
    if cells is not None:
        whole(cells, "cells")
        if cells > len(training):
            raise ValueError(f"cells: {cells}; expected 1 … {len(training)}, the number of training images")
    centre = training.mean(axis=0)
    training, held_out, synthetic = training - centre, held_out - centre, synthetic - centre
    of_held_out, of_synthetic = _nearest(held_out, training)[0], _nearest(synthetic, training)[0]
    number = min(max(1, len(held_out) // HELD_OUT_PER_CELL), len(training)) if cells is None else cells
    while True:
        centres = _k_means(training, number)
        held_out_cell, synthetic_cell = (_nearest(points, centres)[1] for points in (held_out, synthetic))
        pairs = [(of_held_out[held_out_cell == i], of_synthetic[synthetic_cell == i]) for i in range(number)]
        shared = [(real, drawn) for real, drawn in pairs if len(real) and len(drawn)]
        if shared:
            weighted = sum(len(real) * mann_whitney(drawn, real) for real, drawn in shared)
            return weighted / sum(len(real) for real, _ in shared)
        if cells is not None:
            raise ValueError(f"cells: none of the {cells} holds a held-out and a synthetic image; use fewer")
        number //= 2


def _k_means(training: AnyArray, cells: int) -> AnyArray:
    """Return the centres of k-means (Lloyd), started from a fixed choice of training images."""
    centres: AnyArray = training[np.random.default_rng((0, 23)).permutation(len(training))[:cells]]
    for _ in range(_K_MEANS_STEPS):
        nearest = _nearest(training, centres)[1]
        moved = np.stack([
            training[nearest == i].mean(axis=0) if (nearest == i).any() else centre for i, centre in enumerate(centres)
        ])  # fmt: skip
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _nearest(x: AnyArray, y: AnyArray, block: int = _BLOCK, *, exclude_self: bool = False) -> tuple[AnyArray, AnyArray]:
    """Return distance and position of the nearest row of y for each row of x; `exclude_self` where x is y."""
    index = np.empty(len(x), np.int64)
    lengths = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), block):
        table = lengths - 2 * (x[start : start + block] @ y.T)
        if exclude_self:
            rows = np.arange(len(table))
            table[rows, start + rows] = np.inf
        index[start : start + block] = table.argmin(axis=1)
    return np.linalg.norm(x - y[index], axis=1), index


def _features(training: AnyArray, other: AnyArray, name: str) -> tuple[AnyArray, AnyArray]:
    return check_features(training, other, least=1, names=("training", name))
