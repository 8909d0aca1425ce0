"""Objects that may overlap, painted into one label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.types import AnyArray

__all__ = ["ObjectMask", "paint_objects"]


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """One object: its mask, cut to its bounding box.

    Attributes
    ----------
    top, left : int
    mask : ndarray
        ``(height, width)`` bool.
    value : int
        What is painted: a label or a class.
    """

    top: int
    left: int
    mask: AnyArray
    value: int

    @classmethod
    def of(cls, mask: AnyArray, value: int) -> ObjectMask:
        """Cut a mask of the whole image, ``(height, width)`` bool, to its bounding box."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return cls(0, 0, np.zeros((0, 0), bool), value)
        window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(int(rows[0]), int(columns[0]), window.copy(), value)


def paint_objects(stamps: Sequence[ObjectMask], shape: tuple[int, int], log: ImportLog) -> AnyArray:
    """Return a label map in which the smaller object lies on top; of two equally large ones, the later.

    Overlapping pixels, objects that end up wholly hidden, and objects without a pixel are counted in `log`.

    Returns
    -------
    ndarray
        `shape`, uint32: the value of the topmost object, 0 where there is none.
    """
    labels = np.zeros(shape, np.uint32)
    owner = np.full(shape, -1, np.int32)
    overlapping = 0
    order = sorted(range(len(stamps)), key=lambda i: -int(stamps[i].mask.sum()))
    for index in order:
        stamp = stamps[index]
        window = np.s_[stamp.top : stamp.top + stamp.mask.shape[0], stamp.left : stamp.left + stamp.mask.shape[1]]
        overlapping += int((stamp.mask & (owner[window] >= 0)).sum())
        owner[window][stamp.mask] = index
        labels[window][stamp.mask] = stamp.value
    seen = np.unique(owner)
    empty = sum(not stamp.mask.any() for stamp in stamps)
    log.count("overlapping pixels given to the smaller object", overlapping)
    log.count("objects wholly hidden by smaller ones, dropped", len(stamps) - empty - int((seen >= 0).sum()))
    log.count("annotations without a pixel, dropped", empty)
    return labels
