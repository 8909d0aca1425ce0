"""Apply a network whose input sides must be multiples of a number to images of any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthbench.types import FloatArray, Planes

__all__ = ["predict_tiled"]


def predict_tiled(
    predict: Callable[[Planes], Planes],
    planes: Planes,
    *,
    tile: int = 768,
    overlap: int = 64,
    multiple: int = 16,
) -> Planes:
    """Apply `predict` to an image of any size, in overlapping tiles where it is larger than one.

    The image is padded by reflection until `multiple` divides its sides. Overlapping tiles are blended with weights
    that fall linearly towards the edges of a tile.

    Parameters
    ----------
    predict
        ``(C, h, w)`` float32 → ``(K, h, w)``; h and w are multiples of `multiple`.
    planes
        ``(C, H, W)``; H and W ≥ 1.
    tile
        Longest side in pixels that is predicted at once; a multiple of `multiple`.
    overlap
        Smallest overlap of neighbouring tiles in pixels; less than `tile`.
    multiple
        The sides that `predict` is given are multiples of this.

    Returns
    -------
    ndarray
        ``(K, H, W)`` float32.

    Raises
    ------
    ValueError
        If `tile` isn't a multiple of `multiple`, or `overlap` isn't less than `tile`.
    """
    if tile % multiple or not 0 <= overlap < tile:
        raise ValueError(f"tile {tile}, overlap {overlap}, multiple {multiple} don't fit together")
    height, width = planes.shape[1:]
    sides = [-(-side // multiple) * multiple for side in (height, width)]
    padded = np.pad(planes, [(0, 0), *_around(height, sides[0]), *_around(width, sides[1])], mode="reflect")
    top, left = (_around(side, full)[0][0] for side, full in zip((height, width), sides, strict=True))
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    spans = [_span(side, tile, overlap, multiple) for side in sides]
    if spans == sides:
        return np.asarray(predict(padded), np.float32)[window]
    rows, columns = (_starts(side, span, overlap) for side, span in zip(sides, spans, strict=True))
    weight = np.outer(_ramp(spans[0], overlap), _ramp(spans[1], overlap)).astype(np.float32)
    total: Planes | None = None
    weights = np.zeros(sides, np.float32)
    for row in rows:
        for column in columns:
            tile_window = (slice(None), slice(row, row + spans[0]), slice(column, column + spans[1]))
            prediction = np.asarray(predict(np.ascontiguousarray(padded[tile_window])), np.float32)
            if total is None:
                total = np.zeros((prediction.shape[0], *sides), np.float32)
            total[tile_window] += prediction * weight
            weights[tile_window[1:]] += weight
    assert total is not None
    return (total / weights)[window]


def _around(side: int, full: int) -> list[tuple[int, int]]:
    """Return the padding before and after a side, as equal as possible."""
    return [((full - side) // 2, full - side - (full - side) // 2)]


def _count(side: int, tile: int, overlap: int) -> int:
    """Return the smallest number of tiles that cover `side` with this overlap."""
    return 1 if side <= tile else -(-(side - overlap) // (tile - overlap))


def _span(side: int, tile: int, overlap: int, multiple: int) -> int:
    """Return the smallest tile side that covers `side` with as few tiles as `tile` needs."""
    count = _count(side, tile, overlap)
    return -(-(side + (count - 1) * overlap) // (count * multiple)) * multiple


def _starts(side: int, span: int, overlap: int) -> list[int]:
    """Return the first pixel of each tile, evenly spaced from edge to edge."""
    count = _count(side, span, overlap)
    return [round(i * (side - span) / max(1, count - 1)) for i in range(count)]


def _ramp(side: int, overlap: int) -> FloatArray:
    """Return blending weights along a side: 1 in the middle, falling linearly over `overlap` pixels, never 0."""
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1.0
    ramp: FloatArray = np.minimum(1.0, edge / (overlap + 1.0))
    return ramp
