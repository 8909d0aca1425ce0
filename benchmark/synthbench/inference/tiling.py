"""Segmentation of images of any size: in overlapping tiles, whose objects are put together without seams.

An object that lies within a tile is taken from the tile in whose middle it lies. What the border of a tile cuts is left
out where another tile shows all of it, and more. Only objects that are larger than the overlap are cut in every tile:
they are put together from their pieces, where these agree on most of the pixels that both tiles show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.formats.polygons import objects_of
from synthbench.inference.image_quantiles import ImageQuantiles
from synthbench.plugin.api import Instances
from synthbench.samples import Task
from synthbench.types import AnyArray, Image

__all__ = ["OVERLAP", "TILE", "predict_in_tiles", "spans"]

TILE, OVERLAP = 2048, 256
"""Side of a tile, and smallest overlap of neighbouring tiles, in pixels."""
_SAME = 0.5
"""Fraction of its pixels that makes an object the same as one of another tile."""

Predict = Callable[[Image], Instances]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class _Piece:
    """An object, or what a tile shows of it: where in the image, and whether the tile's border cuts it."""

    tile: int
    window: Window
    mask: AnyArray
    score: float


def spans(side: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Return first and last pixel + 1 of tiles that cover a side, evenly spaced, each of `tile` pixels at most."""
    if side <= tile:
        return [(0, side)]
    count = -(-(side - overlap) // (tile - overlap))
    starts = [round(number * (side - tile) / (count - 1)) for number in range(count)]
    return [(start, start + tile) for start in starts]


def predict_in_tiles(
    predict: Predict,
    image: Image,
    task: Task,
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Instances:
    """Segment an image, in tiles where a side is longer than one.

    Beside the image and its label map, memory is needed for one tile.

    Parameters
    ----------
    predict
        Returns checked instances of an image.
    image
        ``(height, width[, channels])``, uint8 or uint16.
    task
    tile, overlap
        In pixels; `overlap` is at most half of `tile`.
    progress
        Called with (tiles done, tiles in all).
    """
    height, width = image.shape[:2]
    rows, columns = spans(height, tile, overlap), spans(width, tile, overlap)
    if len(rows) == len(columns) == 1:
        return predict(image)
    windows = [(slice(*row), slice(*column)) for row in rows for column in columns]
    whole, quantiles = _Whole((height, width), windows, task), ImageQuantiles(image)
    for number, window in enumerate(windows):
        row, column = divmod(number, len(columns))
        core = slice(*_core(rows, row)), slice(*_core(columns, column))
        whole.add(number, core, predict(quantiles.tile(window)), overlap // 8)
        progress(number + 1, len(windows))
    return whole.finished(len(columns))


def _core(tiles: Sequence[tuple[int, int]], number: int) -> tuple[int, int]:
    """Return the part of a side that belongs to a tile: up to the middle of the overlaps."""
    start = 0 if number == 0 else (tiles[number - 1][1] + tiles[number][0]) // 2
    end = tiles[-1][1] if number == len(tiles) - 1 else (tiles[number][1] + tiles[number + 1][0]) // 2
    return start, end


class _Whole:
    """The label map of an image that is put together from tiles."""

    def __init__(self, shape: tuple[int, int], windows: Sequence[Window], task: Task) -> None:
        self._shape, self._windows, self._task = shape, windows, task
        self._labels: AnyArray = np.zeros(shape, np.int32)
        self._scores: list[float] = []
        self._cut: list[_Piece] = []
        self._scored = True

    def add(self, number: int, core: Window, answer: Instances, tolerance: int) -> None:
        """Add what was found in a tile."""
        window = self._windows[number]
        top, left = window[0].start, window[1].start
        if self._task == "semantic":
            inner = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window, strict=True))
            self._labels[core] = answer.labels[inner]
            return
        self._scored = self._scored and answer.scores is not None
        for label, (rows, columns), mask in objects_of(answer.labels):
            place = slice(rows.start + top, rows.stop + top), slice(columns.start + left, columns.stop + left)
            score = float(answer.scores[label - 1]) if answer.scores is not None else 0.0
            piece = _Piece(number, place, mask, score)
            if self._is_cut(place, window):
                if not any(_holds(other, place) and not self._is_cut(place, other) for other in self._windows):
                    self._cut.append(piece)
            elif all(
                c.start - tolerance <= p.start + middle < c.stop + tolerance
                for p, c, middle in zip(place, core, _centre(mask), strict=True)
            ):
                self._paint([piece])

    def _is_cut(self, place: Window, window: Window) -> bool:
        """Whether a border of a tile, which isn't one of the image, cuts what has this place."""
        return any(
            p.start == w.start > 0 or p.stop == w.stop < side
            for p, w, side in zip(place, window, self._shape, strict=True)
        )

    def _paint(self, pieces: Sequence[_Piece]) -> None:
        """Paint an object where nothing is yet, unless most of it is there already, found in another tile."""
        area = sum(int(piece.mask.sum()) for piece in pieces)
        taken = sum(int((piece.mask & (self._labels[piece.window] > 0)).sum()) for piece in pieces)
        if taken > _SAME * area:
            return
        label = len(self._scores) + 1
        for piece in pieces:
            part = self._labels[piece.window]
            part[piece.mask & (part == 0)] = label
        self._scores.append(sum(piece.score * int(piece.mask.sum()) for piece in pieces) / area)

    def finished(self, columns: int) -> Instances:
        """Add the objects that were cut, and return the whole; `columns` is the number of tiles in a row."""
        if self._task == "semantic":
            return Instances(self._labels)
        left = [piece for piece in self._cut if not self._is_there(piece)]
        for group in _groups(left, columns, self._shape):
            self._paint(group)
        present = np.zeros(len(self._scores) + 1, bool)
        for row in self._labels:
            present[row] = True
        present[0] = False
        numbers = np.where(present, np.cumsum(present), 0).astype(np.int32)
        for row in self._labels:
            row[:] = numbers[row]
        return Instances(self._labels, np.asarray(self._scores, float)[present[1:]] if self._scored else None)

    def _is_there(self, piece: _Piece) -> bool:
        return bool((self._labels[piece.window][piece.mask] > 0).mean() > _SAME)


def _holds(window: Window, place: Window) -> bool:
    return all(w.start <= p.start and p.stop <= w.stop for w, p in zip(window, place, strict=True))


def _centre(mask: AnyArray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def _groups(pieces: Sequence[_Piece], columns: int, shape: tuple[int, int]) -> list[list[_Piece]]:
    """Return the pieces that are of one object together, in the order of their first pieces."""
    parent = list(range(len(pieces)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    of_tile: dict[int, list[int]] = {}
    for number, piece in enumerate(pieces):
        row, column = divmod(piece.tile, columns)
        for y in (row - 1, row):
            for x in (column - 1, column, column + 1):
                for other in of_tile.get(y * columns + x, []) if 0 <= x < columns and y >= 0 else []:
                    if pieces[other].tile != piece.tile and _agree(pieces[other], piece):
                        parent[root(number)] = root(other)
        of_tile.setdefault(piece.tile, []).append(number)
    groups: dict[int, list[_Piece]] = {}
    for number, piece in enumerate(pieces):
        groups.setdefault(root(number), []).append(piece)
    return list(groups.values())


def _agree(one: _Piece, other: _Piece) -> bool:
    """Whether two pieces share most of what the smaller of them has where both boxes overlap."""
    shared = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one.window, other.window, strict=True)]
    if any(part.start >= part.stop for part in shared):
        return False
    parts = [
        piece.mask[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(shared, piece.window, strict=True))]
        for piece in (one, other)
    ]
    both, either = int((parts[0] & parts[1]).sum()), int((parts[0] | parts[1]).sum())
    return both > _SAME * either
