"""The noise of single pixels: measured on training images, and laid over drawn ones that lack it.

Losses of squared or absolute differences forbid a network to draw noise, because no guess at it is better than none.
Images without it are too clean, which segmenters learn from.
"""

from __future__ import annotations

import numpy as np

_NORMAL_MEDIAN = 0.6745
_FEW = 64


def measure_noise(planes: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return the standard deviation of the pixel noise, ``(count, channels)`` float32, per class and channel.

    From the median response of a second difference in both directions, which shapes and shading hardly move
    (Immerkær 1996, with a median). A class of few pixels has the noise of the whole image.

    Parameters
    ----------
    planes
        ``(channels, height, width)``.
    classes
        ``(height, width)``, 0 … count − 1; for instances, whether there is an object.
    count
    """
    if min(planes.shape[1:]) < 3:
        return np.zeros((count, len(planes)), np.float32)
    second = np.diff(np.diff(planes, 2, axis=1), 2, axis=2)
    middle = classes[1:-1, 1:-1]
    levels = []
    for number in range(count):
        inside = middle == number
        response = second[:, inside] if inside.sum() >= _FEW else second.reshape(len(planes), -1)
        levels.append(np.median(np.abs(response), axis=1) / _NORMAL_MEDIAN / 6.0)
    return np.stack(levels).astype(np.float32)


def match_noise(planes: np.ndarray, classes: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return drawn planes with as much white noise as they lack.

    Parameters
    ----------
    planes
        ``(channels, height, width)`` float32, −1 … 1.
    classes
        ``(height, width)``, 0 … count − 1.
    wanted
        ``(count, channels)``: standard deviations, as `measure_noise` measures them.
    rng

    Returns
    -------
    ndarray
        As `planes`. Where they have the noise already, they stay as they are.
    """
    own = measure_noise(planes, classes, len(wanted))
    lacking = np.sqrt(np.maximum(wanted.astype(np.float64) ** 2 - own.astype(np.float64) ** 2, 0.0))
    white = rng.standard_normal(planes.shape, dtype=np.float32)
    strength = np.moveaxis(lacking.astype(np.float32)[classes], -1, 0)
    return np.clip(planes + strength * white, -1.0, 1.0)
