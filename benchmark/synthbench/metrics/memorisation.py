"""How near synthetic images lie to training images, compared with real images that the generator never saw.

Held-out real images and independent synthetic images of the same distribution can't be told apart by their distance to
the training set, whatever that set looks like. A duplicate can.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from synthbench.metrics._rank_test import mann_whitney
from synthbench.metrics.similarity import ORIENTATIONS, oriented
from synthbench.types import AnyArray

__all__ = ["LEVEL", "MARGIN", "NeighbourDistances", "compare_distances", "held_out_quantile", "nearest_training"]

LEVEL = 0.05
"""Fraction of the held-out images that are nearer to a training image than the held-out quantile."""

MARGIN = 0.5
"""A synthetic image nearer than this times the held-out quantile is a duplicate."""


class NeighbourDistances(TypedDict):
    """What `compare_distances` returns.

    Attributes
    ----------
    held_out_quantile : float
        The k-th smallest of the m distances of held-out images, k = max(1, ⌊LEVEL · (m + 1)⌋).
    duplicate_threshold : float
        `MARGIN` times the held-out quantile.
    expected : float
        k / (m + 1): the expected fraction of independent images that are within the held-out quantile, whatever the
        distribution.
    near : float
        The fraction of the synthetic images that are within the held-out quantile.
    duplicates : list of int
        Positions of the synthetic images nearer than the duplicate threshold.
    z : float
        Of the Mann–Whitney test: below 0 where synthetic images are nearer than held-out ones. Standard normal for
        independent images: below −3 in 0.13 % of such sets.
    median, median_held_out : float
        Medians of the distances.
    """

    held_out_quantile: float
    duplicate_threshold: float
    expected: float
    near: float
    duplicates: list[int]
    z: float
    median: float
    median_held_out: float


def nearest_training(images: AnyArray, training: AnyArray, *, block: int = 512) -> tuple[AnyArray, AnyArray]:
    r"""Find the nearest training image of each image, over the eight flips and rotations of the square.

    The distance is Euclidean between images shifted to mean 0 and scaled to length 1: √(2 − 2r) with the correlation
    r, so brightness and contrast don't matter. All correlations are matrix products in single precision; the distance
    to the nearest image is then computed in double precision.

    Parameters
    ----------
    images, training
        ``(n, side, side)`` and ``(m, side, side)``, n ≥ 0, m ≥ 1: grey images of one size.
    block
        Training images that are compared at a time; bounds the memory, changes no result.

    Returns
    -------
    distance : ndarray
        ``(n,)`` float64, 0 … 2; √2 where one of the two has no structure.
    index : ndarray
        ``(n,)`` int64: position of the training image.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    images, training = _normalised(images, "images"), _normalised(training, "training")
    if images.shape[1] != training.shape[1]:
        raise ValueError(f"training: images of side {training.shape[1]}, but images has side {images.shape[1]}")
    if len(training) == 0:
        raise ValueError("training is empty")
    orientations = np.stack([oriented(images, orientation) for orientation in range(ORIENTATIONS)])
    best = np.full(len(images), -np.inf, np.float32)
    index, best_orientation = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    columns = training.reshape(len(training), -1).astype(np.float32)
    for orientation, turned in enumerate(orientations):
        rows = turned.reshape(len(images), -1).astype(np.float32)
        for start in range(0, len(training), block):
            correlations = rows @ columns[start : start + block].T
            top = correlations.argmax(axis=1)
            value = correlations[np.arange(len(rows)), top]
            better = value > best
            best[better], index[better], best_orientation[better] = value[better], start + top[better], orientation
    gap = orientations[best_orientation, np.arange(len(images))] - training[index]
    distance = np.sqrt((gap**2).sum(axis=(1, 2)))
    blank = ~images.any(axis=(1, 2)) | ~training[index].any(axis=(1, 2))
    return np.where(blank, np.sqrt(2.0), distance), index


def held_out_quantile(held_out: AnyArray) -> float:
    """Return the k-th smallest of m distances, k = max(1, ⌊LEVEL · (m + 1)⌋).

    Parameters
    ----------
    held_out
        ``(m,)``, m ≥ 1: distances of held-out real images to their nearest training image.
    """
    return float(np.sort(held_out)[_rank(held_out) - 1])


def compare_distances(synthetic: AnyArray, held_out: AnyArray) -> NeighbourDistances:
    """Compare distances of synthetic images to their nearest training image with those of held-out real images.

    `LEVEL` and `MARGIN` are such that independent images are rarely called duplicates; the tests measure how often.

    Parameters
    ----------
    synthetic, held_out
        ``(n,)`` and ``(m,)``, n, m ≥ 1: distances, 0 or more, as `nearest_training` returns them.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    synthetic, held_out = _distances(synthetic, "synthetic"), _distances(held_out, "held_out")
    quantile = held_out_quantile(held_out)
    return NeighbourDistances(
        held_out_quantile=quantile,
        duplicate_threshold=MARGIN * quantile,
        expected=_rank(held_out) / (len(held_out) + 1),
        near=float((synthetic <= quantile).mean()),
        duplicates=np.flatnonzero(synthetic < MARGIN * quantile).tolist(),
        z=mann_whitney(synthetic, held_out),
        median=float(np.median(synthetic)),
        median_held_out=float(np.median(held_out)),
    )


def _rank(held_out: AnyArray) -> int:
    return max(1, int(LEVEL * (len(held_out) + 1)))


def _normalised(given: AnyArray, name: str) -> AnyArray:
    """Return images as float64 of mean 0 and length 1; those without structure are all 0."""
    array = np.asarray(given)
    if array.ndim != 3 or array.shape[1] != array.shape[2] or array.shape[1] < 2:
        raise ValueError(f"{name}: shape {array.shape}; expected square images, (n, side, side)")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: dtype {array.dtype}; expected real numbers")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a pixel isn't finite")
    size = np.abs(array).max(axis=(1, 2), initial=0.0)
    array -= array.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((array**2).sum(axis=(1, 2)))
    flat = length <= 1e-9 * size * array.shape[1]
    array[flat] = 0.0
    normalised: AnyArray = array / np.where(flat, 1.0, length)[:, None, None]
    return normalised


def _distances(given: AnyArray, name: str) -> AnyArray:
    array = np.asarray(given)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: shape {array.shape}, {array.dtype}; expected one distance per image")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name}: a distance is negative or not finite")
    return array.astype(np.float64)
