"""Which images of two sets are alike beyond what their masks explain, whichever way round they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ALIKE = 0.6
"""Correlation of two masks' thumbnails from which one is taken to explain why the images are alike."""

SURE = 4.5
"""Standard deviations above 0, by Fisher's z, from which the light of objects isn't alike by chance."""

_BLOCK = 512
_PAIRS = 4096


@dataclass(frozen=True, eq=False)
class Masked:
    """What is compared of images that have masks; see `synthbench.metrics.residuals.Traces`.

    Attributes
    ----------
    layouts, lights, textures : ndarray
        ``(n, side, side)``, ``(n, side, side)`` and ``(n, fine, fine)`` float32: thumbnails of the masks, and what of
        the images these don't explain.
    objects : ndarray
        ``(n,)``: how many objects tell of their light.
    """

    layouts: np.ndarray
    lights: np.ndarray
    textures: np.ndarray
    objects: np.ndarray


@dataclass(frozen=True, eq=False)
class Looks:
    """What is compared of the images of a set, each picture of mean 0 and length 1, or all 0.

    Attributes
    ----------
    images : ndarray
        ``(n, side, side)`` float32, thumbnails.
    masked : Masked or None
        None where there are no masks.
    """

    images: np.ndarray
    masked: Masked | None = None


@dataclass(frozen=True, eq=False)
class Nearest:
    """What was found nearest to each image, over the eight flips and rotations: correlations, and where.

    Attributes
    ----------
    image, image_at : ndarray
        ``(n,)``: the largest correlation with an image whose mask lies otherwise; −1 where there is none.
    texture, texture_at : ndarray
        ``(n,)``: the largest correlation of textures with an image whose mask is alike; −1 where there is none.
    light, light_at : ndarray
        ``(n,)``: the same of the objects' light, where there are so many objects that it isn't by chance.
    layout, layout_at : ndarray
        ``(n,)``: the largest correlation of masks; −1 without masks.
    """

    image: np.ndarray
    image_at: np.ndarray
    texture: np.ndarray
    texture_at: np.ndarray
    light: np.ndarray
    light_at: np.ndarray
    layout: np.ndarray
    layout_at: np.ndarray

    @classmethod
    def blank(cls, n: int) -> Nearest:
        """Return entries for `n` images for which nothing has been found yet."""
        parts = ((np.full(n, -1.0, np.float32), np.zeros(n, np.int64)) for _ in range(4))
        return cls(*(array for pair in parts for array in pair))


def nearest(first: Looks, second: Looks) -> Nearest:
    """Compare all images of one set with all of another.

    Two images whose masks correlate by `ALIKE` or more, in one of the eight positions, are compared in that position by
    what their masks don't explain, for they are alike whatever the pixels are. All others are compared as images. Where
    a set has no masks all are.

    Parameters
    ----------
    first, second
        n and m images; m ≥ 1.
    """
    found = Nearest.blank(len(first.images))
    ours, theirs = first.masked, second.masked
    for start in range(0, len(second.images), _BLOCK):
        part = slice(start, start + _BLOCK)
        for turn in range(8):
            table = _table(first.images, second.images[part], turn)
            if ours and theirs:
                layouts = _table(ours.layouts, theirs.layouts[part], turn)
                _keep(found.layout, found.layout_at, layouts, start)
                alike = layouts >= ALIKE
                table[alike] = -1.0
                for rows, columns in _chunks(alike):
                    texture = _pairwise(ours.textures, theirs.textures, rows, start + columns, turn)
                    _keep_pairs(found.texture, found.texture_at, texture, rows, start + columns)
                    light = _pairwise(ours.lights, theirs.lights, rows, start + columns, turn)
                    few = np.minimum(ours.objects[rows], theirs.objects[start + columns])
                    sure = np.arctanh(light.clip(-1 + 1e-9, 1 - 1e-9)) * np.sqrt(np.maximum(few - 3, 0)) >= SURE
                    _keep_pairs(found.light, found.light_at, np.where(sure, light, -1.0), rows, start + columns)
            _keep(found.image, found.image_at, table, start)
    return found


def turned(pictures: np.ndarray, turn: int) -> np.ndarray:
    """Return ``(n, side, side)`` in one of the eight positions: from 4 on mirrored, then turned."""
    mirrored = pictures[:, :, ::-1] if turn >= 4 else pictures
    return np.rot90(mirrored, turn % 4, axes=(1, 2))


def _table(first: np.ndarray, second: np.ndarray, turn: int) -> np.ndarray:
    table: np.ndarray = turned(first, turn).reshape(len(first), -1) @ second.reshape(len(second), -1).T
    return table


def _keep(best: np.ndarray, at: np.ndarray, table: np.ndarray, start: int) -> None:
    """Take over what is larger in a table of correlations ``(n, block)`` than the best so far."""
    top = table.argmax(axis=1)
    value = table[np.arange(len(table)), top]
    won = value > best
    best[won], at[won] = value[won], start + top[won]


def _pairwise(first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray, turn: int) -> np.ndarray:
    found: np.ndarray = np.einsum("nij,nij->n", turned(first[rows], turn), second[columns]).astype(np.float64)
    return found


def _keep_pairs(best: np.ndarray, at: np.ndarray, value: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Take over what is larger in a list of correlations than the best so far."""
    for row, column, one in zip(rows.tolist(), columns.tolist(), value.tolist(), strict=True):
        if one > best[row]:
            best[row], at[row] = one, column


def _chunks(chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows, columns = np.nonzero(chosen)
    for start in range(0, len(rows), _PAIRS):
        yield rows[start : start + _PAIRS], columns[start : start + _PAIRS]
