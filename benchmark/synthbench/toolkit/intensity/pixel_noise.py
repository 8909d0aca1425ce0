"""Pixel noise: measured on training images, and added to generated images that have less of it.

A network that is trained on squared or absolute differences generates no noise, because the mean is the best prediction
of it. Images without noise are too clean for a segmenter to learn from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthbench.types import LabelMap, Planes

__all__ = ["match_noise", "measure_noise"]

_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6745
_MIN_PIXELS = 64


def measure_noise(planes: Planes, classes: LabelMap, count: int) -> NDArray[np.float32]:
    """Return the standard deviation of the pixel noise per class and channel.

    It is computed from the median response to a second difference in both directions, which edges and shading hardly
    affect (Immerkær 1996, with a median). A class with few pixels gets the noise of the whole image.

    Parameters
    ----------
    planes
        ``(channels, height, width)``.
    classes
        ``(height, width)``, 0 … count − 1; for instances: whether there is an object.
    count
        Number of classes.

    Returns
    -------
    ndarray
        ``(count, channels)`` float32; 0 for an image of fewer than 3 rows or columns.
    """
    if min(planes.shape[1:]) < 3:
        return np.zeros((count, len(planes)), np.float32)
    response = np.diff(np.diff(planes, 2, axis=1), 2, axis=2)
    inner_classes = classes[1:-1, 1:-1]
    noise = []
    for number in range(count):
        inside = inner_classes == number
        of_class = response[:, inside] if inside.sum() >= _MIN_PIXELS else response.reshape(len(planes), -1)
        noise.append(np.median(np.abs(of_class), axis=1) / _MEDIAN_OF_ABSOLUTE_NORMAL / 6.0)
    table: NDArray[np.float32] = np.stack(noise).astype(np.float32)
    return table


def match_noise(planes: Planes, classes: LabelMap, target: NDArray[np.float32], rng: np.random.Generator) -> Planes:
    """Return generated planes with white noise added where they have less than the target.

    Parameters
    ----------
    planes
        ``(channels, height, width)`` float32, −1 … 1.
    classes
        ``(height, width)``, 0 … count − 1.
    target
        ``(count, channels)``: standard deviations as `measure_noise` returns them.
    rng

    Returns
    -------
    ndarray
        As `planes`; unchanged where they have enough noise.
    """
    measured = measure_noise(planes, classes, len(target))
    missing = np.sqrt(np.maximum(target.astype(np.float64) ** 2 - measured.astype(np.float64) ** 2, 0.0))
    white = rng.standard_normal(planes.shape, dtype=np.float32)
    strength = np.moveaxis(missing.astype(np.float32)[classes], -1, 0)
    return np.clip(planes + strength * white, -1.0, 1.0)
