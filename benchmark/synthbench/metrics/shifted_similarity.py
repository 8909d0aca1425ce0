"""Similarity of images that are shifted against each other by a small part of their side.

Thumbnails find pairs that are worth a look, and full resolution decides: only there do copies, whose pixels agree after
the shift, differ from images that merely have a similar layout.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from synthbench.metrics.similarity import ORIENTATIONS, SIDE, oriented
from synthbench.types import AnyArray

__all__ = ["CANDIDATE", "MAX_SHIFT", "shifted_candidates", "shifted_correlation"]

CANDIDATE = 0.5
"""Correlation of shifted thumbnails from which a pair is compared in full resolution."""

MAX_SHIFT = 0.08
"""Largest shift that is looked for, as a share of the side."""

_STEPS = 2
"""Largest shift of thumbnails, in their pixels."""

_PER_IMAGE = 3
_MIN_LENGTH = 0.1
"""Least length of a part of a thumbnail that is compared; a thumbnail has the length 1."""


def shifted_candidates(first: AnyArray, second: AnyArray, block: int = 256) -> Iterator[tuple[int, int, int]]:
    """Yield pairs of thumbnails that may be shifted copies: (index, index, orientation of the second).

    At most three for each of the first, the most similar ones.

    Parameters
    ----------
    first, second
        ``(n, SIDE * SIDE)`` and ``(m, SIDE * SIDE)``, as `synthbench.metrics.similarity.thumbnails` returns them.
    block
        So many of the first are compared at once.
    """
    squares = second.reshape(-1, SIDE, SIDE)
    shifts = [(y, x) for y in range(-_STEPS, _STEPS + 1) for x in range(-_STEPS, _STEPS + 1)]
    for start in range(0, len(first), block):
        here = first[start : start + block].reshape(-1, SIDE, SIDE)
        best = np.full((len(here), len(squares)), -1.0, np.float32)
        turn = np.zeros(best.shape, np.int8)
        for y, x in shifts:
            part = _unit(here[_overlap(y, x, SIDE, SIDE)])
            for orientation in range(ORIENTATIONS):
                other = _unit(oriented(squares, orientation)[_overlap(-y, -x, SIDE, SIDE)])
                found = part @ other.T
                turn[found > best] = orientation
                np.maximum(best, found, out=best)
        for i, row in enumerate(best):
            for j in np.argsort(-row, kind="stable")[:_PER_IMAGE]:
                if row[j] >= CANDIDATE:
                    yield start + i, int(j), int(turn[i, j])


def shifted_correlation(first: AnyArray, second: AnyArray) -> float:
    """Return the correlation of two images where they overlap, at the shift where they agree best.

    Slightly blurred, without uneven illumination. The shift is that of the largest cross-correlation, up to `MAX_SHIFT`
    of the sides.

    Parameters
    ----------
    first, second
        ``(height, width)`` or ``(height, width, channels)``.

    Returns
    -------
    float
        −1 … 1; −1 if the sizes differ, or one of them is flat where they overlap.
    """
    if first.shape[:2] != second.shape[:2]:
        return -1.0
    one, other = _prepared(first), _prepared(second)
    height, width = one.shape
    most_y, most_x = int(height * MAX_SHIFT), int(width * MAX_SHIFT)
    shift_y, shift_x = np.arange(-most_y, most_y + 1), np.arange(-most_x, most_x + 1)
    products = scipy.fft.irfft2(scipy.fft.rfft2(one) * np.conj(scipy.fft.rfft2(other)), s=one.shape)[
        np.ix_(shift_y, shift_x)
    ]
    at_y, at_x = np.unravel_index(int(products.argmax()), products.shape)
    y, x = int(shift_y[at_y]), int(shift_x[at_x])
    parts = one[None][_overlap(y, x, height, width)], other[None][_overlap(-y, -x, height, width)]
    centred = [part.ravel() - part.mean() for part in parts]
    lengths = float(np.linalg.norm(centred[0])) * float(np.linalg.norm(centred[1]))
    return float(centred[0] @ centred[1]) / lengths if lengths > 0 else -1.0


def _overlap(y: int, x: int, height: int, width: int) -> tuple[slice, slice, slice]:
    """Return what of pictures ``(n, height, width)`` overlaps with others that are shifted by (y, x)."""
    return slice(None), slice(max(0, y), height + min(0, y)), slice(max(0, x), width + min(0, x))


def _unit(pictures: AnyArray) -> AnyArray:
    """Return pictures as rows of mean 0 and length 1; shorter where there is hardly any structure."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    unit: AnyArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _MIN_LENGTH)
    return unit


def _prepared(image: AnyArray) -> AnyArray:
    grey = image.mean(axis=2, dtype=np.float32) if image.ndim == 3 else image.astype(np.float32)
    smooth = scipy.ndimage.gaussian_filter(grey, 1.0)
    flat = smooth - scipy.ndimage.uniform_filter(smooth, [max(3, side // 4) for side in smooth.shape])
    prepared: AnyArray = flat - flat.mean()
    return prepared
