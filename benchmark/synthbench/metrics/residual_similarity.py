"""The most similar image of another set, beyond the similarity that similar masks explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthbench.metrics.similarity import ORIENTATIONS, oriented
from synthbench.types import AnyArray

__all__ = ["SIMILAR_MASKS", "MaskResiduals", "NearestImages", "ThumbnailSet", "nearest"]

SIMILAR_MASKS = 0.6
"""Correlation of two masks' thumbnails from which the masks explain that the images are similar."""

MIN_BRIGHTNESS_Z = 4.5
"""Standard deviations above 0, by Fisher's z, from which the brightness of objects isn't similar by chance."""

_BLOCK = 512
_PAIRS = 4096


@dataclass(frozen=True, eq=False)
class MaskResiduals:
    """Masks of a set of images, and what they don't explain of the images.

    All pictures have mean 0 and length 1, or are all 0; see `synthbench.metrics.residuals.Residuals`.

    Attributes
    ----------
    masks : ndarray
        ``(n, side, side)`` float32: thumbnails of the masks.
    brightness : ndarray
        ``(n, side, side)`` float32: unexplained brightness of objects.
    textures : ndarray
        ``(n, texture side, texture side)`` float32: unexplained texture.
    effective_objects : ndarray
        ``(n,)``: number of objects behind `brightness`.
    """

    masks: AnyArray
    brightness: AnyArray
    textures: AnyArray
    effective_objects: AnyArray


@dataclass(frozen=True, eq=False)
class ThumbnailSet:
    """Thumbnails of a set of images, each of mean 0 and length 1, or all 0.

    Attributes
    ----------
    images : ndarray
        ``(n, side, side)`` float32.
    of_masks : MaskResiduals or None
        None where there are no masks.
    """

    images: AnyArray
    of_masks: MaskResiduals | None = None


@dataclass(frozen=True, eq=False)
class NearestImages:
    """The largest correlations of each image with those of another set, over flips and rotations, and their positions.

    Attributes
    ----------
    image, image_at : ndarray
        ``(n,)``: of thumbnails, among images whose masks aren't similar; −1 where there is none.
    texture, texture_at : ndarray
        ``(n,)``: of textures, among images with similar masks; −1 where there is none.
    brightness, brightness_at : ndarray
        ``(n,)``: of objects' brightness, among images with similar masks and enough objects to rule out chance; −1
        where there is none.
    mask, mask_at : ndarray
        ``(n,)``: of masks; −1 without masks.
    """

    image: AnyArray
    image_at: AnyArray
    texture: AnyArray
    texture_at: AnyArray
    brightness: AnyArray
    brightness_at: AnyArray
    mask: AnyArray
    mask_at: AnyArray

    @classmethod
    def empty(cls, n: int) -> NearestImages:
        """Return n images without any neighbour."""
        pairs = ((np.full(n, -1.0, np.float32), np.zeros(n, np.int64)) for _ in range(4))
        return cls(*(array for pair in pairs for array in pair))


def nearest(first: ThumbnailSet, second: ThumbnailSet, *, block: int = _BLOCK, pairs: int = _PAIRS) -> NearestImages:
    """Compare all images of one set with all of another.

    Two images whose masks correlate by `SIMILAR_MASKS` or more in one of the eight orientations are compared in that
    orientation by what their masks don't explain, since similar masks make similar images whatever the pixels are. All
    others are compared as images. Without masks in one of the sets, all are.

    Parameters
    ----------
    first, second
        Sets of n and m images; m ≥ 1.
    block, pairs
        Images, and pairs with similar masks, that are compared at a time; they bound the memory and change no result.
    """
    result = NearestImages.empty(len(first.images))
    here, there = first.of_masks, second.of_masks
    for start in range(0, len(second.images), block):
        columns_here = slice(start, start + block)
        for orientation in range(ORIENTATIONS):
            correlations = _correlations(first.images, second.images[columns_here], orientation)
            if here and there:
                of_masks = _correlations(here.masks, there.masks[columns_here], orientation)
                _keep_larger(result.mask, result.mask_at, of_masks, start)
                similar_masks = of_masks >= SIMILAR_MASKS
                correlations[similar_masks] = -1.0
                for rows, columns in _chunks(similar_masks, start, pairs):
                    texture = _pairwise(here.textures, there.textures, rows, columns, orientation)
                    _keep_larger_pairs(result.texture, result.texture_at, texture, rows, columns)
                    brightness = _pairwise(here.brightness, there.brightness, rows, columns, orientation)
                    objects = np.minimum(here.effective_objects[rows], there.effective_objects[columns])
                    z = np.arctanh(brightness.clip(-1 + 1e-9, 1 - 1e-9)) * np.sqrt(np.maximum(objects - 3, 0))
                    brightness = np.where(z >= MIN_BRIGHTNESS_Z, brightness, -1.0)
                    _keep_larger_pairs(result.brightness, result.brightness_at, brightness, rows, columns)
            _keep_larger(result.image, result.image_at, correlations, start)
    return result


def _correlations(first: AnyArray, second: AnyArray, orientation: int) -> AnyArray:
    table: AnyArray = oriented(first, orientation).reshape(len(first), -1) @ second.reshape(len(second), -1).T
    return table


def _keep_larger(best: AnyArray, at: AnyArray, table: AnyArray, start: int) -> None:
    """Update the best correlations so far with a table ``(n, block)``."""
    top = table.argmax(axis=1)
    value = table[np.arange(len(table)), top]
    better = value > best
    best[better], at[better] = value[better], start + top[better]


def _pairwise(first: AnyArray, second: AnyArray, rows: AnyArray, columns: AnyArray, orientation: int) -> AnyArray:
    products = np.einsum("nij,nij->n", oriented(first[rows], orientation), second[columns])
    return np.asarray(products, np.float64)


def _keep_larger_pairs(best: AnyArray, at: AnyArray, value: AnyArray, rows: AnyArray, columns: AnyArray) -> None:
    """Update the best correlations so far with a list of pairs."""
    for row, column, correlation in zip(rows.tolist(), columns.tolist(), value.tolist(), strict=True):
        if correlation > best[row]:
            best[row], at[row] = correlation, column


def _chunks(chosen: AnyArray, start: int, size: int) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield rows and columns of the chosen pairs; columns are counted from `start`."""
    rows, columns = np.nonzero(chosen)
    for first in range(0, len(rows), size):
        yield rows[first : first + size], start + columns[first : first + size]
