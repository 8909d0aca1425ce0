"""Instances as two planes that a network can predict: a normalised distance map and the foreground; and back.

A binary mask doesn't separate touching cells. The distance map does: in every instance, whatever its size, it rises
from the border to 1 in the middle, so there is a valley between neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthbench.toolkit.masks._basins import Passes, join_basins, passes_of
from synthbench.types import BoolMask, FloatArray, LabelMap, Planes

__all__ = [
    "DistanceDecoder",
    "Thresholds",
    "bounding_boxes",
    "decode",
    "decode_components",
    "drop_small",
    "encode",
    "inner_borders",
    "mean_foreground",
    "normalised_distance",
    "restore_borders",
]

SMOOTHING_SIGMA = 1.0
"""Standard deviation in pixels of the Gaussian that smooths a predicted distance map."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Thresholds:
    """How planes are decoded into instances.

    `synthbench.toolkit.training.threshold_tuning` selects them on the validation samples.

    Attributes
    ----------
    foreground : float
        Smallest foreground probability of a pixel that belongs to an instance, 0 … 1.
    seed : float
        Smallest maximum of the smoothed distance in an instance, 0 … 1.
    valley : float
        Two neighbouring maxima become two instances if the valley between them is deeper than this, measured from the
        lower maximum, 0 … 1.
    area : int
        Smallest area of an instance in pixels.
    """

    foreground: float = 0.5
    seed: float = 0.3
    valley: float = 0.2
    area: int = 8


def encode(labels: LabelMap) -> Planes:
    """Return the planes of a label map: the distance map, and the foreground without inner borders.

    Parameters
    ----------
    labels
        ``(H, W)``, any integer type; 0 is background.

    Returns
    -------
    ndarray
        ``(2, H, W)`` float32, 0 … 1.
    """
    planes: Planes = np.stack([normalised_distance(labels), (labels > 0) & ~inner_borders(labels)]).astype(np.float32)
    return planes


def normalised_distance(labels: LabelMap) -> NDArray[np.float32]:
    """Return the distance of each pixel from the outside of its instance, divided by the largest one in the instance.

    The edge of the image isn't a border: an instance that it cuts is treated as if it went on.

    Parameters
    ----------
    labels
        ``(H, W)``, any integer type; 0 is background.

    Returns
    -------
    ndarray
        ``(H, W)`` float32: 0 in the background, in (0, 1] in instances.
    """
    normalised = np.zeros(labels.shape, np.float32)
    for label, box in bounding_boxes(labels):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        inside = labels[around] == label
        if inside.all():
            normalised[around] = 1.0
            continue
        distance = ndimage.distance_transform_edt(inside)
        normalised[around][inside] = (distance / distance.max())[inside]
    return normalised


def bounding_boxes(labels: LabelMap) -> list[tuple[int, tuple[slice, slice]]]:
    """Return the labels above 0 in ascending order, each with the rows and columns of its bounding box."""
    if int(labels.max()) <= labels.size:
        return [(i, box) for i, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1) if box is not None]
    present, dense = np.unique(labels, return_inverse=True)
    values = present[present > 0].tolist()
    dense = dense.reshape(labels.shape) + len(values) + 1 - len(present)
    return list(zip(values, ndimage.find_objects(dense), strict=True))


def inner_borders(labels: LabelMap) -> BoolMask:
    """Return the pixels that touch another instance, diagonally included: ``(H, W)`` bool."""
    borders = np.zeros(labels.shape, bool)
    height, width = labels.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width - max(0, -right)))
        touch = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        borders[here] |= touch
        borders[there] |= touch
    return borders


def decode(distance: FloatArray, foreground: FloatArray, thresholds: Thresholds | None = None) -> NDArray[np.int32]:
    """Return the instances of predicted planes, by a watershed of the smoothed distance map.

    Every local maximum is the seed of a basin. Neighbouring basins are then joined in the order of the pass between
    them, the highest first, where the valley is shallow; so an instance of irregular shape, which has several maxima,
    stays one instance.

    Parameters
    ----------
    distance, foreground
        ``(H, W)`` float, about 0 … 1.
    thresholds
        By default ``Thresholds()``.

    Returns
    -------
    ndarray
        ``(H, W)`` int32: 0 and 1 … n, every number used.
    """
    return DistanceDecoder(distance, foreground).labels(thresholds or Thresholds())


class DistanceDecoder:
    """`decode` for many thresholds: what depends on `Thresholds.foreground` alone is computed once for each value.

    Parameters
    ----------
    distance, foreground
        ``(H, W)`` float, about 0 … 1.
    """

    def __init__(self, distance: FloatArray, foreground: FloatArray) -> None:
        self.foreground = foreground
        self._smooth = ndimage.gaussian_filter(distance, SMOOTHING_SIGMA)
        self._basins: dict[float, tuple[LabelMap, Passes]] = {}

    def labels(self, thresholds: Thresholds) -> NDArray[np.int32]:
        """Return the instances, ``(H, W)`` int32: 0 and 1 … n, every number used."""
        if thresholds.foreground not in self._basins:
            basins = self._flood(self.foreground >= thresholds.foreground)
            self._basins[thresholds.foreground] = basins, passes_of(basins, self._smooth)
        basins, passes = self._basins[thresholds.foreground]
        return drop_small(join_basins(basins, passes, thresholds.valley, thresholds.seed), thresholds.area)

    def _flood(self, inside: BoolMask) -> LabelMap:
        """Return the basin of each pixel."""
        from skimage.segmentation import watershed

        if not inside.any():
            return np.zeros(inside.shape, np.int32)
        smooth = self._smooth
        peaks = inside & (smooth >= ndimage.maximum_filter(np.where(inside, smooth, -np.inf), size=3))
        basins: LabelMap = watershed(-smooth, ndimage.label(peaks, structure=_EIGHT_NEIGHBOURS)[0], mask=inside)
        return basins


def restore_borders(labels: NDArray[np.int32], distance: FloatArray) -> NDArray[np.int32]:
    """Add the borders between neighbours, which the foreground plane leaves out, to decoded instances.

    A background pixel next to an instance, with another instance at most two pixels away, is a border between the two
    if the distance plane is at least that of half a pixel in an instance of this size.

    Parameters
    ----------
    labels
        ``(H, W)`` int32: 0 and 1 … n; see `decode`.
    distance
        ``(H, W)`` float, about 0 … 1.

    Returns
    -------
    ndarray
        ``(H, W)`` int32; instances are the same or larger.
    """
    if not labels.any():
        return labels
    no_label = np.int32(labels.max() + 1)
    highest = ndimage.maximum_filter(labels, size=5)
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, no_label), size=5)
    between = (labels == 0) & (highest > 0) & (lowest < highest)
    if not between.any():
        return labels
    from_instance, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    nearest = labels[rows, columns]
    radius = ndimage.maximum(ndimage.distance_transform_edt(labels > 0), labels, np.arange(no_label))
    half_a_pixel = 0.5 / (1 + np.asarray(radius))
    border = between & (from_instance < 2) & (distance >= half_a_pixel[nearest])
    return np.where(border, nearest, labels).astype(np.int32)


def decode_components(foreground: FloatArray, thresholds: Thresholds | None = None) -> NDArray[np.int32]:
    """Return the connected components of the foreground as instances, as cGAN-Seg (2024) does.

    Touching cells become one instance. Parameters and result are those of `decode`.
    """
    thresholds = thresholds or Thresholds()
    components, _ = ndimage.label(foreground >= thresholds.foreground)
    return drop_small(components, thresholds.area)


def drop_small(labels: LabelMap, area: int) -> NDArray[np.int32]:
    """Remove the instances of fewer than `area` pixels, and number the others 1 … n in their order; int32."""
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(1, area)
    kept[0] = False
    return (np.cumsum(kept) * kept).astype(np.int32)[labels]


def mean_foreground(labels: LabelMap, foreground: FloatArray) -> NDArray[np.float64]:
    """Return the mean of `foreground` in each instance 1 … n of `labels`: ``(n,)`` float64."""
    flat = labels.ravel()
    sizes = np.bincount(flat)[1:]
    sums = np.bincount(flat, weights=foreground.ravel())[1:]
    means: NDArray[np.float64] = sums / np.maximum(sizes, 1)
    return means
