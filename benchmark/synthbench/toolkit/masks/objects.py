"""Objects of label maps: areas, cut-outs, boundaries, and relabelling of cropped, warped or generated label maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as connected

from synthbench.metrics.contacts import touching_labels
from synthbench.metrics.overlap import dense_labels
from synthbench.types import BoolMask, IntArray, LabelMap

__all__ = [
    "Cutout",
    "cutouts",
    "boundaries",
    "fraction_of_touching_objects",
    "min_object_area",
    "object_areas",
    "relabel",
]

MIN_AREA_PERCENTILE = 1.0
"""Percentile of the areas of the training objects below which an object is a small object."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Cutout:
    """One object, cut out of a label map.

    Attributes
    ----------
    mask : ndarray
        ``(height, width)`` bool, the object in its bounding box.
    top, left : int
        Row and column of the box's first pixel in the label map.
    label : int
        The object's label there.
    whole : bool
        Whether it doesn't reach the border of the label map, which might have cut it.
    """

    mask: BoolMask
    top: int
    left: int
    label: int
    whole: bool

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the bounding box in the label map."""
        return slice(self.top, self.top + self.mask.shape[0]), slice(self.left, self.left + self.mask.shape[1])


def cutouts(labels: LabelMap) -> list[Cutout]:
    """Return the objects of an instance label map, ``(height, width)``, in the order of their labels.

    Of an object in several pieces the largest one is returned.
    """
    height, width = labels.shape
    objects = []
    ids, dense = dense_labels(labels)
    for number, box in enumerate(ndimage.find_objects(dense), start=1):
        mask, (rows, columns) = _largest_piece(dense[box] == number, box)
        whole = rows.start > 0 and columns.start > 0 and rows.stop < height and columns.stop < width
        objects.append(Cutout(mask, rows.start, columns.start, int(ids[number - 1]), whole))
    return objects


def _largest_piece(mask: BoolMask, box: tuple[slice, slice]) -> tuple[BoolMask, tuple[slice, slice]]:
    pieces, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    if count == 1:
        return mask, box
    keep = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    rows, columns = ndimage.find_objects(pieces)[keep - 1]
    top, left = box[0].start, box[1].start
    shifted = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
    return pieces[rows, columns] == keep, shifted


def object_areas(labels: LabelMap) -> IntArray:
    """Return the area of each object of an instance label map in pixels, ``(objects,)``, in the order of the labels."""
    ids, counts = np.unique(labels, return_counts=True)
    return counts[ids > 0]


def min_object_area(masks: Iterable[LabelMap]) -> int:
    """Return the smallest area in pixels that an object should have, according to the training label maps; at least 1.

    It is a low percentile of the objects' areas (`MIN_AREA_PERCENTILE`), so that a few stray pixels in the annotation
    don't determine it.
    """
    areas = [object_areas(mask) for mask in masks]
    all_areas = np.concatenate(areas) if areas else np.zeros(0)
    return max(1, int(np.percentile(all_areas, MIN_AREA_PERCENTILE, method="lower"))) if all_areas.size else 1


def boundaries(labels: LabelMap) -> BoolMask:
    """Return where one of the four neighbours has another label: the instance boundary map of pix2pixHD.

    A boundary is two pixels wide, one on either side; the border of the label map is none (Wang et al. 2018, arXiv
    1711.11585, section 3.3).

    Parameters
    ----------
    labels
        ``(height, width)`` integers.

    Returns
    -------
    ndarray
        ``(height, width)`` bool.
    """
    found = np.zeros(labels.shape, bool)
    below, beside = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    found[1:] |= below
    found[:-1] |= below
    found[:, 1:] |= beside
    found[:, :-1] |= beside
    return found


def relabel(labels: LabelMap, min_area: float = 1) -> tuple[NDArray[np.int32], int]:
    """Return a valid label map: connected objects, labelled 1 … n, without small objects.

    An object in several pieces becomes one object per piece; diagonal neighbours are connected.

    Parameters
    ----------
    labels
        ``(height, width)``, any integer type; cropped, warped or generated.
    min_area
        Pieces of a smaller area, in pixels, are removed.

    Returns
    -------
    labels : ndarray
        ``(height, width)`` int32.
    removed : int
        Number of pieces that were removed.
    """
    pieces = connected(labels, background=0, connectivity=2)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = sizes >= max(min_area, 1)
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[pieces], int((~kept[1:]).sum())


def fraction_of_touching_objects(masks: Sequence[LabelMap]) -> float:
    """Return the fraction, 0 … 1, of the objects in instance label maps that touch another one, diagonally included."""
    touching = total = 0
    for mask in masks:
        total += object_areas(mask).size
        touching += len(touching_labels(mask))
    return touching / total if total else 0.0
