"""Finding room for one more object among others: a few random tries, then a search of all places by FFT."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

TRIES = 32
SEARCH_SIDE = 256
"""Longest side of the map that all places are searched in; larger images are searched on a coarser grid."""

_EIGHT = np.ones((3, 3), bool)


class Canvas:
    """A label map that objects are placed on, one after another, without overlap.

    An object's centre lies within the image; its edge may hang over the border, where it is cut off.

    Parameters
    ----------
    labels
        ``(height, width)``, what is there already; copied.
    allowed
        ``(height, width)`` bool, where objects may lie; everywhere by default.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` int32.
    count : int
        The highest id in use.
    """

    def __init__(self, labels: np.ndarray, allowed: np.ndarray | None = None) -> None:
        self.labels = labels.astype(np.int32)
        self.count = int(self.labels.max(initial=0))
        self._taken = self.labels > 0
        if allowed is not None:
            self._taken |= ~allowed

    @property
    def covered(self) -> int:
        """Pixels that belong to objects."""
        return int((self.labels > 0).sum())

    def find(self, mask: np.ndarray, rng: np.random.Generator, *, touch: bool = False) -> tuple[int, int] | None:
        """Return the top left corner of a free place for an object, or None if none was found.

        Parameters
        ----------
        mask
            ``(h, w)`` bool, the object in its bounding box.
        rng
        touch
            Move the object up to its nearest neighbour, if there is one within its own size, until the two touch.
            Otherwise at least one pixel of background stays between it and the others.
        """
        pad = 0 if touch else 1
        claim = mask if touch else ndimage.binary_dilation(np.pad(mask, 1), _EIGHT)
        corner = self._try(claim, rng) or self._search(claim, rng)
        if corner is None:
            return None
        if touch:
            corner = self._slide(mask, corner)
        return corner[0] + pad, corner[1] + pad

    def put(self, mask: np.ndarray, corner: tuple[int, int]) -> int:
        """Write an object with its box's top left at `corner`, and return its new id."""
        here, part = overlap(self.labels.shape, mask.shape, corner)
        self.count += 1
        self.labels[here][mask[part]] = self.count
        self._taken[here] |= mask[part]
        return self.count

    def _free(self, mask: np.ndarray, corner: tuple[int, int]) -> bool:
        here, part = overlap(self.labels.shape, mask.shape, corner)
        return not (self._taken[here] & mask[part]).any()

    def _try(self, mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
        centres = (rng.random((TRIES, 2)) * self.labels.shape).astype(int)
        for y, x in centres.tolist():
            corner = (y - mask.shape[0] // 2, x - mask.shape[1] // 2)
            if self._free(mask, corner):
                return corner
        return None

    def _search(self, mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
        """Search all places of a grid, by correlation; on a coarse grid it misses the tightest, and errs on none."""
        height, width = mask.shape
        step = math.ceil(max(self.labels.shape) / SEARCH_SIDE)
        half = np.array([height // 2, width // 2])
        margin = ((height // 2, height - height // 2), (width // 2, width - width // 2))
        taken = _coarse(np.pad(self._taken, margin), step)
        shape = _coarse(mask, step)
        hits = fftconvolve(taken.astype(np.float32), shape[::-1, ::-1].astype(np.float32), mode="valid")
        centres = np.argwhere(hits < 0.5) * step
        centres = centres[(centres < self.labels.shape).all(axis=1)]
        if len(centres) == 0:
            return None
        y, x = (centres[rng.integers(len(centres))] - half).tolist()
        return (y, x)

    def _slide(self, mask: np.ndarray, corner: tuple[int, int]) -> tuple[int, int]:
        height, width = mask.shape
        centre = (corner[0] + height // 2, corner[1] + width // 2)
        near, _ = overlap(self.labels.shape, (3 * height, 3 * width), (corner[0] - height, corner[1] - width))
        others = np.argwhere(self.labels[near] > 0) + np.array([near[0].start, near[1].start])
        if len(others) == 0:
            return corner
        way = others[((others - centre) ** 2).sum(axis=1).argmin()] - centre
        length = float(np.hypot(*way))
        for k in range(1, math.ceil(length) + 1):
            shift = np.rint(way * (k / max(length, 1.0))).astype(int)
            there = (corner[0] + int(shift[0]), corner[1] + int(shift[1]))
            if not self._free(mask, there):
                shift = np.rint(way * ((k - 1) / max(length, 1.0))).astype(int)
                return corner[0] + int(shift[0]), corner[1] + int(shift[1])
        return corner


def overlap(
    canvas: tuple[int, ...], piece: tuple[int, ...], corner: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the part of a canvas that a piece at `corner` covers, and the part of the piece that lies on the canvas.

    Both are (rows, columns); they are empty if the two don't meet.
    """
    here, part = [], []
    for size, length, start in zip(canvas, piece, corner, strict=False):
        low = min(max(start, 0), size)
        high = max(low, min(start + length, size))
        here.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return (here[0], here[1]), (part[0], part[1])


def _coarse(mask: np.ndarray, step: int) -> np.ndarray:
    """Return whether anything is set in each block of ``step × step``, the last blocks filled up with unset."""
    if step == 1:
        return mask
    height, width = (-n % step for n in mask.shape)
    padded = np.pad(mask, ((0, height), (0, width)))
    return padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).any(axis=(1, 3))
