"""Micrographs on their way into an encoder: one rule for real and synthetic ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 16
"""Images encoded at a time: fixed, so that features don't hang on a setting."""


def resize(image: NDArray[Any], size: int, white_level: int) -> NDArray[Any]:
    """Return an image as three planes of one size, as clean-fid resizes them (Parmar 2022).

    Each channel is resized in floating point by Pillow's bicubic filter, which widens with the factor when it
    shrinks (antialiasing), and clipped to 0 … 255; nothing is rounded. Grey is repeated to RGB. The aspect ratio
    isn't kept, as in all published FIDs.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, 3)``, uint8 or uint16.
    size
        Side of the result.
    white_level
        The 16-bit value that becomes 255. A fixed scale, and no stretching image by image: a generator that draws
        too dark must not look right.

    Returns
    -------
    ndarray
        ``(3, size, size)`` float32, 0 … 255.

    Raises
    ------
    ValueError
        If it is no such image: for floats, it is unknown which value is white.
    """
    from PIL import Image

    if image.dtype not in (np.uint8, np.uint16) or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"images: {image.dtype} of shape {image.shape}; give grey or RGB, uint8 or uint16")
    scale = 255 / white_level if image.dtype == np.uint16 else 1.0
    channels = [image] if image.ndim == 2 else [image[..., i] for i in range(3)]
    planes = [
        np.asarray(
            Image.fromarray(channel.astype(np.float32) * np.float32(scale)).resize(
                (size, size), Image.Resampling.BICUBIC
            )
        )
        for channel in channels
    ]
    return np.broadcast_to(np.stack(planes).clip(0, 255), (3, size, size))


def batches(images: Iterable[NDArray[Any]], size: int, white_level: int) -> Iterator[NDArray[Any]]:
    """Yield images by `BATCH`, each batch ``(n, 3, size, size)`` float32, 0 … 255; the last may be shorter."""
    waiting: list[NDArray[Any]] = []
    for image in images:
        waiting.append(resize(image, size, white_level))
        if len(waiting) == BATCH:
            yield np.stack(waiting)
            waiting = []
    if waiting:
        yield np.stack(waiting)
