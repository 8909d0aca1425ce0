"""Images on their way into a network."""

from __future__ import annotations

import numpy as np

LOW, HIGH = 1.0, 99.8
"""Percentiles that `normalise` maps to 0 and 1: StarDist's convention, used for every segmenter."""


def normalise(image: np.ndarray, low: float = LOW, high: float = HIGH) -> np.ndarray:
    """Map the `low` and `high` percentiles of each channel to 0 and 1, without clipping.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, 3)``, any real type.

    Returns
    -------
    ndarray
        ``(channels, height, width)`` float32; a constant channel becomes 0.
    """
    planes = np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
    floor, top = np.percentile(planes, (low, high), axis=(1, 2), keepdims=True).astype(np.float32)
    span = top - floor
    return np.divide(planes - floor, span, out=np.zeros_like(planes), where=span > 0)


def to_channels(planes: np.ndarray, channels: int) -> np.ndarray:
    """Return ``(channels, height, width)`` from grey or RGB planes: grey is repeated, RGB is averaged to grey."""
    if planes.shape[0] == channels:
        return planes
    if planes.shape[0] == 1:
        return np.repeat(planes, channels, axis=0)
    if channels == 1:
        return planes.mean(axis=0, keepdims=True, dtype=np.float32)
    raise ValueError(f"planes: {planes.shape[0]} channels can't become {channels}")
