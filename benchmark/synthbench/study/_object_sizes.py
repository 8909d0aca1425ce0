"""The sizes of objects in label maps, and what becomes of objects at another scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.datasets.components import connected_components
from synthbench.samples import Task
from synthbench.study.scaling import resize_labels, restore_labels, scaled_shape
from synthbench.types import FloatArray, IntArray, LabelMap

__all__ = ["FEW_PIXELS", "ScaledObjects", "object_diameters", "scaled_objects"]

FEW_PIXELS = 10
"""Objects with fewer pixels are hardly objects any more."""

_DIRECT = 2**20
"""Labels up to this one are counted in an array of all of them."""


def object_diameters(labels: LabelMap, task: Task) -> FloatArray:
    """Return the diameters of objects: those of discs of the same area, ``2 √(area / π)``, in pixels.

    Cellpose (Stringer et al. 2021) defines diameters in this way.

    Parameters
    ----------
    labels
        ``(height, width)``, 0 is background.
    task
        Objects of ``instances`` have a label each. Objects of ``semantic`` are the connected components, 8 neighbours,
        of each class above 0.
    """
    areas = connected_components(labels).area if task == "semantic" else _areas(labels)[1]
    diameters: FloatArray = 2 * np.sqrt(areas / np.pi)
    return diameters


@dataclass(frozen=True)
class ScaledObjects:
    """What becomes of the objects of label maps at another scale.

    Attributes
    ----------
    objects : int
    lost : int
        Objects without a pixel at that scale.
    small : int
        Other objects with fewer than `FEW_PIXELS` pixels there.
    iou_sum : float
        Sum over objects of their IoU with themselves, when the scaled label map is brought back to the original size.
    """

    objects: int = 0
    lost: int = 0
    small: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: ScaledObjects) -> ScaledObjects:
        return ScaledObjects(
            self.objects + other.objects,
            self.lost + other.lost,
            self.small + other.small,
            self.iou_sum + other.iou_sum,
        )

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the objects with themselves: what exact predictions at that scale reach; 1 without objects."""
        return self.iou_sum / self.objects if self.objects else 1.0


def scaled_objects(labels: LabelMap, factor: float) -> ScaledObjects:
    """Return what becomes of the objects of an instance map, ``(height, width)``, at a scale."""
    values, areas = _areas(labels)
    scaled = resize_labels(labels, scaled_shape(labels.shape, factor))
    restored = restore_labels(scaled, labels.shape)
    kept, restored_areas, shared = (
        _areas_of(values, part) for part in (scaled, restored, np.where(restored == labels, labels, 0))
    )
    iou = shared / (areas + restored_areas - shared)
    return ScaledObjects(
        objects=len(values),
        lost=int((kept == 0).sum()),
        small=int(((kept > 0) & (kept < FEW_PIXELS)).sum()),
        iou_sum=float(iou.sum()),
    )


def _areas(labels: LabelMap) -> tuple[IntArray, IntArray]:
    """Return the labels above 0 that occur, in order, and their areas in pixels."""
    if int(labels.max()) > _DIRECT:
        values, areas = np.unique(labels[labels > 0], return_counts=True)
        return values, areas
    counts = np.bincount(labels.ravel().astype(np.intp))
    counts[0] = 0
    values = np.flatnonzero(counts)
    return values, counts[values]


def _areas_of(values: IntArray, labels: LabelMap) -> IntArray:
    """Return the areas of some labels, 0 where one doesn't occur; `values` are in order and contain all that do."""
    present, counts = _areas(labels)
    areas = np.zeros(len(values), np.int64)
    areas[np.searchsorted(values, present)] = counts
    return areas
