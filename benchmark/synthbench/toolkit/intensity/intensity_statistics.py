"""Intensity statistics of images and of single objects, in the value range of a generator's network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthbench.metrics.overlap import dense_labels
from synthbench.toolkit.masks.distance import bounding_boxes
from synthbench.toolkit.masks.objects import object_areas
from synthbench.types import FloatArray, LabelMap, Planes

__all__ = [
    "edge_sharpness",
    "intensity_statistics",
    "object_statistics",
    "paint_objects",
    "sample_similar_objects",
    "standardise",
]

_SIMILAR_OBJECTS = 5
_GRADIENT_SIGMA = 0.7
_SURROUNDINGS = 4
_MIN_PIXELS = 8
_MIN_CONTRAST = 0.1


def intensity_statistics(planes: Planes, classes: LabelMap, count: int) -> NDArray[np.float32]:
    """Return robust intensity statistics of an image: median and spread of each class and channel.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    classes
        ``(height, width)``, 0 … count − 1; for instances: whether there is an object.
    count
        Number of classes.

    Returns
    -------
    ndarray
        ``(2 · count · channels,)`` float32: for each class the medians, then the spreads (10th to 90th percentile). NaN
        for a class without pixels.
    """
    statistics = []
    for number in range(count):
        values = planes[:, classes == number]
        if values.shape[1] == 0:
            statistics += [np.full(len(planes), np.nan)] * 2
            continue
        low, median, high = np.percentile(values, (10, 50, 90), axis=1)
        statistics += [median, high - low]
    joined: NDArray[np.float32] = np.concatenate(statistics).astype(np.float32)
    return joined


def standardise(rows: Sequence[FloatArray]) -> NDArray[np.float32]:
    """Return statistics with mean 0 and standard deviation 1 over the images, clipped to −3 … 3; NaN becomes 0.

    Parameters
    ----------
    rows
        One array ``(numbers,)`` per image.

    Returns
    -------
    ndarray
        ``(images, numbers)`` float32.
    """
    table = np.stack(rows).astype(np.float64)
    known = np.isfinite(table)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0.0).sum(axis=0) / counts
    centred = np.where(known, table - mean, 0.0)
    std = np.sqrt((centred**2).sum(axis=0) / counts)
    scores: NDArray[np.float32] = np.clip(centred / np.where(std > 1e-6, std, 1.0), -3.0, 3.0).astype(np.float32)
    return scores


def object_statistics(planes: Planes, labels: LabelMap) -> NDArray[np.float32]:
    """Return the area and the intensity statistics of each object.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    labels
        ``(height, width)``.

    Returns
    -------
    ndarray
        ``(objects, channels + 2)`` float32, in the order of the labels: the natural logarithm of the area, the median
        of each channel, and the standard deviation within the object (root mean square over the channels).
    """
    ids, dense = dense_labels(labels)
    if ids.size == 0:
        return np.zeros((0, len(planes) + 2), np.float32)
    numbers = np.arange(1, ids.size + 1)
    area = np.log(np.bincount(dense.ravel())[1:])
    medians = [ndimage.median(plane, dense, numbers) for plane in planes]
    with np.errstate(invalid="ignore"):  # the background may have no pixels
        variance = np.mean([ndimage.variance(plane, dense, numbers) for plane in planes], axis=0)
    table: NDArray[np.float32] = np.stack([area, *medians, np.sqrt(variance)], axis=1).astype(np.float32)
    return table


def edge_sharpness(planes: Planes, labels: LabelMap) -> NDArray[np.float32]:
    """Return how steep the edge of each object is.

    It is the upper quartile of the gradient magnitude along the edge, away from other objects, divided by the contrast
    between the object and the background around it, per pixel: 0.42, 0.31 and 0.22 for a disc that a Gaussian of half a
    pixel, one and two pixels blurs.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    labels
        ``(height, width)``.

    Returns
    -------
    ndarray
        ``(objects,)`` float32, in the order of the labels; NaN for an object without background around it, or with a
        contrast of less than a twentieth of the range.
    """
    plane = planes.mean(axis=0)
    gradient = ndimage.gaussian_gradient_magnitude(plane, _GRADIENT_SIGMA)
    sharpness = []
    for number, box in bounding_boxes(labels):
        around = tuple(slice(max(0, side.start - _SURROUNDINGS), side.stop + _SURROUNDINGS) for side in box)
        inside = labels[around] == number
        others = (labels[around] > 0) & ~inside
        edge = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside, iterations=2)
        edge &= ~ndimage.binary_dilation(others, iterations=3)
        background = ndimage.binary_dilation(inside, iterations=_SURROUNDINGS)
        background &= ~ndimage.binary_dilation(inside, iterations=2) & ~others
        of_object = np.nan
        if min(edge.sum(), background.sum()) >= _MIN_PIXELS:
            contrast = abs(np.median(plane[around][inside]) - np.median(plane[around][background]))
            if contrast > _MIN_CONTRAST:
                of_object = np.percentile(gradient[around][edge], 75) / contrast
        sharpness.append(of_object)
    return np.array(sharpness, np.float32)


def paint_objects(labels: LabelMap, values: NDArray[np.float32]) -> Planes:
    """Return planes in which each object has its own constant values.

    Parameters
    ----------
    labels
        ``(height, width)``.
    values
        ``(objects, columns)``, in the order of the labels.

    Returns
    -------
    ndarray
        ``(columns, height, width)`` float32; 0 in the background.
    """
    ids, index = np.unique(labels, return_inverse=True)
    table = np.zeros((len(ids), values.shape[1]), np.float32)
    table[ids > 0] = values
    return np.moveaxis(table[index.reshape(labels.shape)], -1, 0)


def sample_similar_objects(
    labels: LabelMap, training_objects: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return for each object the statistics of a random training object of similar area.

    Parameters
    ----------
    labels
        ``(height, width)``.
    training_objects
        ``(n, columns)``, the first column the logarithm of the area, as in `object_statistics`; n is at least 1 if
        there are objects in `labels`.
    rng

    Returns
    -------
    ndarray
        ``(objects, columns − 1)``, in the order of the labels: a row of `training_objects` without the area.
    """
    log_areas = np.log(object_areas(labels)).astype(np.float32)
    differences = np.abs(log_areas[:, None] - training_objects[:, 0])
    similar = np.argsort(differences, axis=1, kind="stable")[:, :_SIMILAR_OBJECTS]
    chosen = [int(rng.choice(row)) for row in similar]
    return training_objects[chosen, 1:]
