"""Instances as planes that a network can draw: a normalised distance per instance, and the foreground.

A binary mask loses touching cells. The distance keeps them apart: in every instance, whatever its size, it rises
from its border to 1 at its middle, so that neighbours meet in a valley.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SMOOTH = 1.0
"""Standard deviation, in pixels, of the smoothing of a predicted distance."""

_ALL_NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Thresholds:
    """How planes become instances.

    `synthbench.toolkit.training.threshold_tuning` chooses them on the validation samples.

    Attributes
    ----------
    foreground : float
        A pixel belongs to an instance from this probability on, 0 … 1.
    seed : float
        An instance's largest smoothed distance is at least this, 0 … 1.
    valley : float
        Two neighbouring maxima are two instances if the valley between them is deeper than this, measured from the
        lower of them, 0 … 1.
    area : int
        Instances of fewer pixels are dropped.
    """

    foreground: float = 0.5
    seed: float = 0.3
    valley: float = 0.2
    area: int = 8


def encode(labels: np.ndarray) -> np.ndarray:
    """Return the planes of a label map: distance, and foreground without inner borders.

    Parameters
    ----------
    labels
        ``(H, W)``, any integer type; 0 is background.

    Returns
    -------
    ndarray
        ``(2, H, W)`` float32, 0 … 1.
    """
    return np.stack([normalised_distance(labels), (labels > 0) & ~inner_borders(labels)]).astype(np.float32)


def normalised_distance(labels: np.ndarray) -> np.ndarray:
    """Return each pixel's distance from the outside of its instance, divided by the instance's largest.

    The edge of the image is not a border: an instance that it cuts is taken to go on.

    Returns
    -------
    ndarray
        ``(H, W)`` float32: 0 on background, above 0 … 1 in instances.
    """
    out = np.zeros(labels.shape, np.float32)
    for label, box in boxes(labels):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        inside = labels[around] == label
        if inside.all():
            out[around] = 1.0
            continue
        distance = ndimage.distance_transform_edt(inside)
        out[around][inside] = (distance / distance.max())[inside]
    return out


def boxes(labels: np.ndarray) -> list[tuple[int, tuple[slice, slice]]]:
    """Return the labels above 0 in order, each with the rows and columns of its bounding box."""
    if int(labels.max()) <= labels.size:
        return [(i, box) for i, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1) if box is not None]
    present, dense = np.unique(labels, return_inverse=True)
    values = present[present > 0].tolist()
    dense = dense.reshape(labels.shape) + len(values) + 1 - len(present)
    return list(zip(values, ndimage.find_objects(dense), strict=True))


def inner_borders(labels: np.ndarray) -> np.ndarray:
    """Return which pixels touch another instance, diagonals included: ``(H, W)`` bool."""
    out = np.zeros(labels.shape, bool)
    height, width = labels.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width - max(0, -right)))
        touch = (labels[here] != labels[there]) & (labels[here] > 0) & (labels[there] > 0)
        out[here] |= touch
        out[there] |= touch
    return out


def decode(distance: np.ndarray, foreground: np.ndarray, thresholds: Thresholds | None = None) -> np.ndarray:
    """Return the instances of predicted planes: a watershed of the smoothed distance, shallow valleys filled.

    Every local maximum begins a basin; basins are then joined across their valleys, the highest first, as long as
    the valley is shallow. So an instance of irregular shape, which has several maxima, stays in one piece.

    Parameters
    ----------
    distance, foreground
        ``(H, W)`` float, about 0 … 1.
    thresholds
        By default ``Thresholds()``.

    Returns
    -------
    ndarray
        ``(H, W)`` int32: 0, and 1 … n without gaps.
    """
    from skimage.segmentation import watershed

    thresholds = thresholds or Thresholds()
    inside = foreground >= thresholds.foreground
    if not inside.any():
        return np.zeros(distance.shape, np.int32)
    smooth = ndimage.gaussian_filter(distance, SMOOTH)
    peaks = inside & (smooth >= ndimage.maximum_filter(np.where(inside, smooth, -np.inf), size=3))
    basins = watershed(-smooth, ndimage.label(peaks, structure=_ALL_NEIGHBOURS)[0], mask=inside)
    return drop_small(join_basins(basins, smooth, thresholds.valley, thresholds.seed), thresholds.area)


def join_basins(basins: np.ndarray, height: np.ndarray, valley: float, seed: float) -> np.ndarray:
    """Join neighbouring basins whose valley is no deeper than `valley`, and drop those nowhere as high as `seed`.

    Parameters
    ----------
    basins
        ``(H, W)`` int: 0, and 1 … n.
    height
        ``(H, W)`` float.
    valley, seed
        See `Thresholds`.

    Returns
    -------
    ndarray
        ``(H, W)`` int64, with gaps.
    """
    count = int(basins.max()) + 1
    peak = np.full(count, -np.inf, height.dtype)
    np.maximum.at(peak, basins.ravel(), height.ravel())
    root = list(range(count))

    def root_of(basin: int) -> int:
        while root[basin] != basin:
            basin = root[basin]
        return basin

    for first, second, height_of_pass in _passes(basins, height):
        low, high = sorted((root_of(first), root_of(second)), key=peak.__getitem__)
        if peak[low] - height_of_pass <= valley:
            root[low] = high
    home = np.array([root_of(basin) for basin in range(count)])
    home[peak[home] < seed] = 0
    home[0] = 0
    return home[basins]


def _passes(basins: np.ndarray, height: np.ndarray) -> Iterable[tuple[int, int, float]]:
    """Return each two neighbouring basins with the height of the highest pass between them, the highest first."""
    pairs, passes = [], []
    for here, there in (((slice(None), slice(1, None)), (slice(None), slice(-1))), ((slice(1, None),), (slice(-1),))):
        a, b = basins[here], basins[there]
        border = (a != b) & (a > 0) & (b > 0)
        pairs.append(np.sort(np.stack([a[border], b[border]]), axis=0))
        passes.append(np.minimum(height[here][border], height[there][border]))
    first, second = np.concatenate(pairs, axis=1)
    heights = np.concatenate(passes)
    order = np.lexsort((second, first, -heights))
    _, once = np.unique(first[order].astype(np.int64) << 32 | second[order], return_index=True)
    order = order[np.sort(once)]
    return zip(first[order].tolist(), second[order].tolist(), heights[order].tolist(), strict=True)


def restore_borders(labels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Give decoded instances back the borders between them, which the foreground plane leaves out.

    A background pixel beside an instance, with another instance at most two pixels away, is taken for a border that the
    two share if the distance plane has half a pixel there, measured by the instance's own size.

    Parameters
    ----------
    labels
        ``(H, W)`` int32: 0, and 1 … n; see `decode`.
    distance
        ``(H, W)`` float, about 0 … 1.

    Returns
    -------
    ndarray
        ``(H, W)`` int32; instances are the same or larger.
    """
    if not labels.any():
        return labels
    nobody = np.int32(labels.max() + 1)
    highest = ndimage.maximum_filter(labels, size=5)
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, nobody), size=5)
    between = (labels == 0) & (highest > 0) & (lowest < highest)
    if not between.any():
        return labels
    away, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    nearest = labels[rows, columns]
    radius = ndimage.maximum(ndimage.distance_transform_edt(labels > 0), labels, np.arange(nobody))
    half_a_pixel = 0.5 / (1 + np.asarray(radius))
    border = between & (away < 2) & (distance >= half_a_pixel[nearest])
    return np.where(border, nearest, labels).astype(np.int32)


def decode_components(foreground: np.ndarray, thresholds: Thresholds | None = None) -> np.ndarray:
    """Return the connected components of the foreground as instances: what cGAN-Seg (2024) does.

    Touching cells become one. Arguments and result are those of `decode`.
    """
    thresholds = thresholds or Thresholds()
    components, _ = ndimage.label(foreground >= thresholds.foreground)
    return drop_small(components, thresholds.area)


def drop_small(labels: np.ndarray, area: int) -> np.ndarray:
    """Drop the instances of fewer than `area` pixels, and number the others 1 … n in their order; int32."""
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(1, area)
    kept[0] = False
    return (np.cumsum(kept) * kept).astype(np.int32)[labels]


def mean_foreground(labels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Return the mean of `foreground` in each instance 1 … n of `labels`: ``(n,)`` float64."""
    flat = labels.ravel()
    sizes = np.bincount(flat)[1:]
    sums = np.bincount(flat, weights=foreground.ravel())[1:]
    return sums / np.maximum(sizes, 1)
