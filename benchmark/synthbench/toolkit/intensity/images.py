"""Conversion of images into the planes that networks take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthbench.types import Image, Planes

if TYPE_CHECKING:
    import torch

__all__ = ["HIGH_PERCENTILE", "LOW_PERCENTILE", "RGB", "as_rgb", "normalise", "to_channels"]

RGB = 3
"""Channels of an RGB image."""

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
"""Percentiles that `normalise` maps to 0 and 1: StarDist's convention, used for all segmenters."""


def normalise(image: Image, low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE) -> Planes:
    """Map two percentiles of each channel to 0 and 1, without clipping.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, any real type.
    low, high
        Percentiles, 0 … 100.

    Returns
    -------
    ndarray
        ``(channels, height, width)`` float32; a constant channel becomes 0.
    """
    planes = np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
    bottom, top = np.percentile(planes, (low, high), axis=(1, 2), keepdims=True).astype(np.float32)
    span = top - bottom
    return np.divide(planes - bottom, span, out=np.zeros_like(planes), where=span > 0)


def to_channels(planes: Planes, channels: int) -> Planes:
    """Return grey or RGB planes with another number of channels: grey is repeated, RGB is averaged.

    Other planes are channels of their own, which no rule can make of others; they are returned as they are if their
    number is right. See `as_rgb` for networks that take RGB.

    Parameters
    ----------
    planes
        ``(1 … 4, height, width)``.
    channels
        Their number; for grey and RGB 1 or 3.

    Raises
    ------
    ValueError
        If the number of planes can't be converted.
    """
    if planes.shape[0] == channels:
        return planes
    if planes.shape[0] == 1 and channels == 3:
        return np.repeat(planes, channels, axis=0)
    if planes.shape[0] == 3 and channels == 1:
        mean: Planes = planes.mean(axis=0, keepdims=True, dtype=np.float32)
        return mean
    raise ValueError(f"planes: {planes.shape[0]} channels can't become {channels}")


def as_rgb(images: torch.Tensor) -> torch.Tensor:
    """Return images for a network that takes RGB: grey ones are repeated, two channels get an empty third one.

    Parameters
    ----------
    images
        ``(B, C, H, W)``.

    Returns
    -------
    torch.Tensor
        ``(B, max(3, C), H, W)``.
    """
    from torch.nn import functional

    channels = images.shape[1]
    if channels == 1:
        return images.expand(-1, RGB, -1, -1)
    return functional.pad(images, (0, 0, 0, 0, 0, max(0, RGB - channels)))
