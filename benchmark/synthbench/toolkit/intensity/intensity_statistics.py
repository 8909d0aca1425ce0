"""Robust numbers of an image's light, in the network's range: levels, spreads, and those of single objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from synthbench.toolkit.masks.distance import boxes

_NEAREST = 5
_SMOOTH = 0.7
_AROUND = 4
_FEW = 8
_FLAT = 0.1


def intensity_statistics(planes: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return robust numbers of an image's light: ``(2 · count · channels,)`` float32, NaN where unknown.

    They are the median and the spread (10th to 90th percentile) of each class and channel.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    classes
        ``(height, width)``, 0 … count − 1; for instances, whether there is an object.
    count
    """
    numbers = []
    for number in range(count):
        inside = planes[:, classes == number]
        if inside.shape[1] == 0:
            numbers += [np.full(len(planes), np.nan)] * 2
            continue
        low, middle, high = np.percentile(inside, (10, 50, 90), axis=1)
        numbers += [middle, high - low]
    return np.concatenate(numbers).astype(np.float32)


def standardise(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return appearance numbers ``(images, numbers)`` with mean 0 and spread 1 over the images, unknown ones 0."""
    table = np.stack(rows).astype(np.float64)
    known = np.isfinite(table)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0.0).sum(axis=0) / counts
    centred = np.where(known, table - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    return np.clip(centred / np.where(spread > 1e-6, spread, 1.0), -3.0, 3.0).astype(np.float32)


def object_statistics(planes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the area and the light of each object, ``(objects, channels + 2)`` float32, by rising id.

    The columns are the logarithm of the area, the median of each channel, and the spread within the object (standard
    deviation, over all channels).
    """
    ids = np.unique(labels[labels > 0])
    if ids.size == 0:
        return np.zeros((0, len(planes) + 2), np.float32)
    dense = np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0)
    numbers = np.arange(1, ids.size + 1)
    area = np.log(np.bincount(dense.ravel())[1:])
    medians = [ndimage.median(plane, dense, numbers) for plane in planes]
    with np.errstate(invalid="ignore"):  # of the background, which may have no pixels
        variance = np.mean([ndimage.variance(plane, dense, numbers) for plane in planes], axis=0)
    return np.stack([area, *medians, np.sqrt(variance)], axis=1).astype(np.float32)


def edge_sharpness(planes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how steep the edge of each object is, ``(objects,)`` float32, by rising id; NaN where it can't be told.

    That is the upper quartile of the gradient along the rim, away from other objects, as part of the contrast between
    the object and the background around it, per pixel: .42, .31 and .22 of a disk that a Gaussian of half a pixel, one
    and two pixels blurs. An object without background near, or of a contrast below a twentieth of the range, has none.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    labels
        ``(height, width)``.
    """
    plane = planes.mean(axis=0)
    steepness = ndimage.gaussian_gradient_magnitude(plane, _SMOOTH)
    found = []
    for number, box in boxes(labels):
        around = tuple(slice(max(0, side.start - _AROUND), side.stop + _AROUND) for side in box)
        inside = labels[around] == number
        others = (labels[around] > 0) & ~inside
        rim = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside, iterations=2)
        rim &= ~ndimage.binary_dilation(others, iterations=3)
        beside = ndimage.binary_dilation(inside, iterations=_AROUND) & ~ndimage.binary_dilation(inside, iterations=2)
        beside &= ~others
        steep = np.nan
        if min(rim.sum(), beside.sum()) >= _FEW:
            contrast = abs(np.median(plane[around][inside]) - np.median(plane[around][beside]))
            if contrast > _FLAT:
                steep = np.percentile(steepness[around][rim], 75) / contrast
        found.append(steep)
    return np.array(found, np.float32)


def paint_objects(labels: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return each object's light at its pixels, ``(columns, height, width)`` float32, 0 on background.

    Parameters
    ----------
    light
        ``(objects, columns)``, by rising id.
    """
    ids, index = np.unique(labels, return_inverse=True)
    table = np.zeros((len(ids), light.shape[1]), np.float32)
    table[ids > 0] = light
    return np.moveaxis(table[index.reshape(labels.shape)], -1, 0)


def sample_similar_objects(labels: np.ndarray, donors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each object the light of a random one of the donors nearest in area, ``(objects, columns − 1)``.

    Parameters
    ----------
    donors
        ``(n, columns)``, the first the logarithm of the area, as `objects` gives them; n is at least 1 where there are
        objects.
    """
    areas = object_statistics(np.zeros((1, *labels.shape), np.float32), labels)[:, 0]
    nearest = np.argsort(np.abs(areas[:, None] - donors[:, 0]), axis=1, kind="stable")[:, :_NEAREST]
    chosen = [int(rng.choice(row)) for row in nearest]
    return donors[chosen, 1:]
