"""Placing objects in a label map without overlap: a few random places are tried, then all are searched by FFT."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from synthbench.types import BoolMask, LabelMap

__all__ = ["Canvas", "overlapping_slices"]

RANDOM_TRIES = 32
"""Random places that are tried before all places are searched."""
MAX_SEARCH_SIDE = 256
"""Longest side of the grid on which all places are searched; larger images are searched on a coarser grid."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class Canvas:
    """A label map in which objects are placed one after another, without overlap.

    The centre of an object is inside the image; the part beyond the border is cut off.

    Parameters
    ----------
    labels
        ``(height, width)``, the objects that are there already; copied.
    allowed
        ``(height, width)`` bool, where objects may be placed; by default everywhere.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` int32.
    count : int
        The highest label in use.
    """

    def __init__(self, labels: LabelMap, allowed: BoolMask | None = None) -> None:
        self.labels = labels.astype(np.int32)
        self.count = int(self.labels.max(initial=0))
        self._occupied = self.labels > 0
        if allowed is not None:
            self._occupied |= ~allowed

    @property
    def covered(self) -> int:
        """Number of pixels that belong to objects."""
        return int((self.labels > 0).sum())

    def find_place(self, mask: BoolMask, rng: np.random.Generator, *, touch: bool = False) -> tuple[int, int] | None:
        """Return the top left corner of a free place for an object; None if there is none.

        Parameters
        ----------
        mask
            ``(h, w)`` bool, the object in its bounding box.
        rng
        touch
            Whether the object is moved towards its nearest neighbour until the two touch, if there is one within the
            object's own size. Otherwise at least one pixel of background separates it from the others.
        """
        pad = 0 if touch else 1
        claim = mask if touch else ndimage.binary_dilation(np.pad(mask, 1), _EIGHT_NEIGHBOURS)
        corner = self._try_random(claim, rng) or self._search_all(claim, rng)
        if corner is None:
            return None
        if touch:
            corner = self._move_to_neighbour(mask, corner)
        return corner[0] + pad, corner[1] + pad

    def place(self, mask: BoolMask, corner: tuple[int, int]) -> int:
        """Write an object into the label map, its bounding box beginning at `corner`, and return its new label."""
        in_canvas, in_mask = overlapping_slices(self.labels.shape, mask.shape, corner)
        self.count += 1
        self.labels[in_canvas][mask[in_mask]] = self.count
        self._occupied[in_canvas] |= mask[in_mask]
        return self.count

    def _is_free(self, mask: BoolMask, corner: tuple[int, int]) -> bool:
        in_canvas, in_mask = overlapping_slices(self.labels.shape, mask.shape, corner)
        return not (self._occupied[in_canvas] & mask[in_mask]).any()

    def _try_random(self, mask: BoolMask, rng: np.random.Generator) -> tuple[int, int] | None:
        centres = (rng.random((RANDOM_TRIES, 2)) * self.labels.shape).astype(int)
        for y, x in centres.tolist():
            corner = (y - mask.shape[0] // 2, x - mask.shape[1] // 2)
            if self._is_free(mask, corner):
                return corner
        return None

    def _search_all(self, mask: BoolMask, rng: np.random.Generator) -> tuple[int, int] | None:
        """Search all places of a grid by correlation; a coarse grid misses tight places, but returns free ones only."""
        height, width = mask.shape
        step = math.ceil(max(self.labels.shape) / MAX_SEARCH_SIDE)
        half = np.array([height // 2, width // 2])
        margin = ((height // 2, height - height // 2), (width // 2, width - width // 2))
        occupied = _any_in_blocks(np.pad(self._occupied, margin), step)
        template = _any_in_blocks(mask, step)
        collisions = fftconvolve(occupied.astype(np.float32), template[::-1, ::-1].astype(np.float32), mode="valid")
        centres = np.argwhere(collisions < 0.5) * step
        centres = centres[(centres < self.labels.shape).all(axis=1)]
        if len(centres) == 0:
            return None
        y, x = (centres[rng.integers(len(centres))] - half).tolist()
        return (y, x)

    def _move_to_neighbour(self, mask: BoolMask, corner: tuple[int, int]) -> tuple[int, int]:
        height, width = mask.shape
        centre = (corner[0] + height // 2, corner[1] + width // 2)
        surroundings, _ = overlapping_slices(
            self.labels.shape, (3 * height, 3 * width), (corner[0] - height, corner[1] - width)
        )
        others = np.argwhere(self.labels[surroundings] > 0) + np.array([side.start for side in surroundings])
        if len(others) == 0:
            return corner
        direction = others[((others - centre) ** 2).sum(axis=1).argmin()] - centre
        length = float(np.hypot(*direction))
        for k in range(1, math.ceil(length) + 1):
            shift = np.rint(direction * (k / max(length, 1.0))).astype(int)
            moved = (corner[0] + int(shift[0]), corner[1] + int(shift[1]))
            if not self._is_free(mask, moved):
                shift = np.rint(direction * ((k - 1) / max(length, 1.0))).astype(int)
                return corner[0] + int(shift[0]), corner[1] + int(shift[1])
        return corner


def overlapping_slices(
    canvas: tuple[int, ...], patch: tuple[int, ...], corner: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a patch and a canvas overlap.

    Parameters
    ----------
    canvas, patch
        Shapes, ``(height, width)``.
    corner
        Row and column of the patch's first pixel in the canvas; may be negative.

    Returns
    -------
    in_canvas : tuple of slice
        Rows and columns of the overlap in the canvas; empty if the two don't overlap.
    in_patch : tuple of slice
        The same in the patch.
    """
    in_canvas, in_patch = [], []
    for size, length, start in zip(canvas, patch, corner, strict=False):
        low = min(max(start, 0), size)
        high = max(low, min(start + length, size))
        in_canvas.append(slice(low, high))
        in_patch.append(slice(low - start, high - start))
    return (in_canvas[0], in_canvas[1]), (in_patch[0], in_patch[1])


def _any_in_blocks(mask: BoolMask, step: int) -> BoolMask:
    """Return whether any pixel is set in each block of ``step × step``; missing pixels of the last ones are unset."""
    if step == 1:
        return mask
    height, width = (-n % step for n in mask.shape)
    padded = np.pad(mask, ((0, height), (0, width)))
    blocks: BoolMask = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).any(axis=(1, 3))
    return blocks
