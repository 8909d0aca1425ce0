"""Objects of label maps: their areas, their cut-outs, and label maps made valid again after cutting and warping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected

from synthbench.metrics.contacts import touching_labels

AREA_PERCENTILE = 1.0
"""Percentile of the training objects' areas below which a piece counts as a speck."""

_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Cutout:
    """One object, cut out of a label map.

    Attributes
    ----------
    mask : ndarray
        ``(height, width)`` bool, the object in its bounding box.
    top, left : int
        Where the box lies in the label map.
    label : int
        The object's id there.
    whole : bool
        Whether it keeps clear of the label map's border, which would have cut it.
    """

    mask: np.ndarray
    top: int
    left: int
    label: int
    whole: bool

    @property
    def area(self) -> int:
        return int(self.mask.sum())

    @property
    def box(self) -> tuple[slice, slice]:
        return slice(self.top, self.top + self.mask.shape[0]), slice(self.left, self.left + self.mask.shape[1])


def cutouts(labels: np.ndarray) -> list[Cutout]:
    """Return every object of an instance label map ``(height, width)``, by rising id.

    An object in several pieces gives its largest piece.
    """
    height, width = labels.shape
    found = []
    ids = np.unique(labels)
    ids = ids[ids > 0]
    dense = np.searchsorted(ids, labels) + 1
    dense[labels == 0] = 0
    for number, box in enumerate(ndimage.find_objects(dense), start=1):
        mask, (rows, columns) = _largest_piece(dense[box] == number, box)
        whole = rows.start > 0 and columns.start > 0 and rows.stop < height and columns.stop < width
        found.append(Cutout(mask, rows.start, columns.start, int(ids[number - 1]), whole))
    return found


def _largest_piece(mask: np.ndarray, box: tuple[slice, slice]) -> tuple[np.ndarray, tuple[slice, slice]]:
    pieces, count = ndimage.label(mask, structure=_EIGHT)
    if count == 1:
        return mask, box
    keep = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    rows, columns = ndimage.find_objects(pieces)[keep - 1]
    top, left = box[0].start, box[1].start
    shifted = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
    return pieces[rows, columns] == keep, shifted


def object_areas(labels: np.ndarray) -> np.ndarray:
    """Return the areas of an instance label map's objects in pixels, ``(objects,)``, by rising id."""
    ids, counts = np.unique(labels, return_counts=True)
    return counts[ids > 0]


def min_object_area(masks: Iterable[np.ndarray]) -> int:
    """Return the area in pixels below which a piece is a speck, by the training label maps: at least 1.

    It is the `AREA_PERCENTILE` of the objects' areas, so that a few stray pixels in the annotation don't set it.
    """
    found = [object_areas(mask) for mask in masks]
    together = np.concatenate(found) if found else np.zeros(0)
    return max(1, int(np.percentile(together, AREA_PERCENTILE, method="lower"))) if together.size else 1


def relabel(labels: np.ndarray, limit: float = 1) -> tuple[np.ndarray, int]:
    """Make a cut, warped or drawn label map valid: connected objects, numbered 1 … n, none a speck.

    An object in pieces becomes one object per piece (diagonal neighbours are connected).

    Parameters
    ----------
    labels
        ``(height, width)``, any integer type.
    limit
        Pieces of a smaller area, in pixels, are removed.

    Returns
    -------
    labels : ndarray
        ``(height, width)`` int32.
    removed : int
        How many pieces were removed.
    """
    pieces = connected(labels, background=0, connectivity=2)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = sizes >= max(limit, 1)
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[pieces], int((~kept[1:]).sum())


def fraction_of_touching_objects(masks: Sequence[np.ndarray]) -> float:
    """Return the share, 0 … 1, of the objects in instance label maps that have another one within one pixel."""
    touching = total = 0
    for mask in masks:
        total += object_areas(mask).size
        touching += len(touching_labels(mask))
    return touching / total if total else 0.0
