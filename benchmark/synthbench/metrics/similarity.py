"""Similarity of images: the correlation of small thumbnails, over flips and rotations.

Copies that are cropped or shifted by several per cent are not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import scipy

from synthbench.types import AnyArray

__all__ = [
    "ORIENTATIONS",
    "SIDE",
    "THRESHOLD",
    "averaged",
    "correlations",
    "near_duplicates",
    "oriented",
    "thumbnail",
    "thumbnails",
]

ORIENTATIONS = 8
"""Ways in which a square can be turned and reflected onto itself."""

SIDE = 32
"""Side of a thumbnail, in pixels."""

THRESHOLD = 0.9
"""Correlation from which two images are near duplicates."""

BACKGROUND = 4.0
"""Standard deviation, in thumbnail pixels, of the blur that is subtracted, so that uneven illumination isn't
compared."""


def thumbnail(image: AnyArray) -> AnyArray:
    """Return the thumbnail of an image: grey, averaged down, without uneven illumination, of mean 0 and length 1.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, any real type, at least one pixel. Grey is the mean of the
        channels.

    Returns
    -------
    ndarray
        ``(SIDE * SIDE,)`` float32; all 0 for an image without structure.

    Raises
    ------
    ValueError
        If the shape or type is another, or a pixel isn't finite.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (2, 3, 4)) or image.size == 0:
        raise ValueError(f"image: shape {image.shape}; expected (height, width), or 2 to 4 channels last")
    if image.dtype.kind not in "fiub" or not np.isfinite(image).all():
        raise ValueError(f"image: dtype {image.dtype}, or a pixel isn't finite; expected finite real numbers")
    grey = image.mean(axis=2, dtype=np.float32) if image.ndim == 3 else image.astype(np.float32)
    small = averaged(grey, SIDE)
    flat = small - scipy.ndimage.gaussian_filter(small, BACKGROUND, mode="reflect")
    flat -= flat.mean()
    length = float(np.linalg.norm(flat))
    if length <= 1e-5 * max(float(np.abs(small).max()), 1e-30) * SIDE:
        return np.zeros(SIDE * SIDE, np.float32)
    unit_vector: AnyArray = (flat / length).ravel().astype(np.float32)
    return unit_vector


def averaged(picture: AnyArray, side: int) -> AnyArray:
    """Return a picture ``(height, width)`` averaged into ``(side, side)``: each pixel counts by its share of area."""
    small: AnyArray = _shares(picture.shape[0], side) @ picture @ _shares(picture.shape[1], side).T
    return small


def _shares(size: int, side: int) -> AnyArray:
    """Return the matrix that averages `size` pixels into `side`: each gets its share by area."""
    edges = np.linspace(0, size, side + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares: AnyArray = (np.clip(overlap, 0, None) * (side / size)).astype(np.float32)
    return shares


def thumbnails(images: Iterable[AnyArray]) -> AnyArray:
    """Return `thumbnail` of each picture: ``(n, SIDE * SIDE)`` float32."""
    rows = [thumbnail(image) for image in images]
    return np.stack(rows) if rows else np.zeros((0, SIDE * SIDE), np.float32)


def oriented(pictures: AnyArray, orientation: int) -> AnyArray:
    """Return square pictures in one of the eight orientations of the square.

    Parameters
    ----------
    pictures
        ``(n, side, side)``.
    orientation
        0 … 7: quarter turns, from 4 on after a reflection.

    Returns
    -------
    ndarray
        ``(n, side, side)``, a view.
    """
    reflected = pictures[:, :, ::-1] if orientation >= 4 else pictures
    return np.rot90(reflected, orientation % 4, axes=(1, 2))


def correlations(first: AnyArray, second: AnyArray) -> AnyArray:
    """Return the largest correlation of each pair of thumbnails over the eight orientations of one of them.

    Parameters
    ----------
    first, second
        ``(n, SIDE * SIDE)`` and ``(m, SIDE * SIDE)``, as `thumbnails` returns them.

    Returns
    -------
    ndarray
        ``(n, m)`` float32, −1 … 1.
    """
    best = np.full((len(first), len(second)), -1.0, np.float32)
    square = second.reshape(-1, SIDE, SIDE)
    for orientation in range(ORIENTATIONS):
        turned = oriented(square, orientation).reshape(len(second), -1)
        np.maximum(best, first @ turned.T, out=best)
    return best


def near_duplicates(
    first: AnyArray, second: AnyArray, threshold: float = THRESHOLD, block: int = 1024
) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs of thumbnails that correlate by at least `threshold`: (index, index, correlation).

    At most `block` rows of the table of correlations are in memory at once.
    """
    for start in range(0, len(first), block):
        table = correlations(first[start : start + block], second)
        for i, j in np.argwhere(table >= threshold):
            yield start + int(i), int(j), float(table[i, j])
