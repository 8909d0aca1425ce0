"""COCO's two ways to write a mask, polygons and run lengths, checked before C code follows them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as rle_masks

from synthbench.datasets.import_options import ImportLog
from synthbench.errors import DataError

__all__ = ["decode_runs", "encode", "merge_listings"]

SAME = 0.5
"""Two objects of one image that is listed twice are the same from this intersection over union on."""
_FEWEST = 6
_LONGEST_WAY = 5e6
"""Pixels of an outline; decoding takes 40 bytes for each, and doesn't ask whether it gets them."""
_LONGEST = 30
"""Bits of a run length: enough for any image."""


def encode(segmentation: Any, height: int, width: int, where: str, log: ImportLog) -> Any:
    """Return a segmentation as pycocotools' compressed run lengths; None when there is nothing in it.

    Parameters
    ----------
    segmentation
        What the JSON file holds.
    height, width
        Of the image.
    where
        The annotation, for messages.
    log

    Raises
    ------
    DataError
        If it is no mask of this image.
    """
    if segmentation is None or segmentation in ([], {}, ""):
        log.count("annotations without a mask, left out")
        return None
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, height, width, where)
    if not isinstance(segmentation, list):
        raise DataError(f"{where}: the mask is {_shown(segmentation)}; give polygons or run lengths")
    polygons = _polygons(segmentation, height, width, where, log)
    if not polygons:
        log.count("annotations without a mask, left out")
        return None
    return rle_masks.merge(rle_masks.frPyObjects(polygons, height, width))


def merge_listings(first: list[Any], second: list[Any], log: ImportLog) -> list[Any]:
    """Return the objects of two listings of one image: all of the first, and what the second has more.

    Parameters
    ----------
    first, second
        Objects as ``(mask, value)``; the mask in compressed run lengths.
    """
    if not first or not second:
        return [*first, *second]
    overlaps = rle_masks.iou([mask for mask, _ in second], [mask for mask, _ in first], [0] * len(first))
    values = [np.array([value for _, value in objects]) for objects in (second, first)]
    same = (np.asarray(overlaps) >= SAME) & (values[0][:, None] == values[1][None, :])
    new = [one for one, known in zip(second, same.any(axis=1), strict=True) if not known]
    log.count("objects drawn in both of two listings, the first kept", len(second) - len(new))
    log.count("objects drawn in only one of two listings, kept", len(new) + int((~same.any(axis=0)).sum()))
    return [*first, *new]


def _polygons(segmentation: list[Any], height: int, width: int, where: str, log: ImportLog) -> list[list[float]]:
    if {*map(type, segmentation)} <= {int, float}:
        raise DataError(f"{where}: the polygon is one flat list; COCO has a list of such lists: [[x1, y1, x2, y2, …]]")
    found = []
    for polygon in segmentation:
        if not isinstance(polygon, list):
            raise DataError(f"{where}: a polygon is {_shown(polygon)}; give a list of numbers, [x1, y1, x2, y2, …]")
        odd = next((value for value in polygon if type(value) not in (int, float)), None) if polygon else None
        if isinstance(odd, list | dict):
            raise DataError(
                f"{where}: the polygon is nested as pairs or deeper; COCO has flat lists: [[x1, y1, x2, y2, …]]"
            )
        if {*map(type, polygon)} - {int, float}:
            raise DataError(f"{where}: a polygon can't be read: it holds {_shown(odd)} where a number belongs")
        if len(polygon) % 2:
            raise DataError(f"{where}: a polygon has {len(polygon)} numbers; they are pairs: [x1, y1, x2, y2, …]")
        if len(polygon) < _FEWEST:
            log.count("polygons of fewer than three points, dropped")
            continue
        _check_reach(polygon, height, width, where, log)
        found.append(polygon)
    return found


def _check_reach(polygon: list[float], height: int, width: int, where: str, log: ImportLog) -> None:
    """Raise `DataError` where a coordinate is no number, or lies more than the image's size beyond its edge."""
    outside, span = False, 0.0
    for axis, values, size in (("x", polygon[::2], width), ("y", polygon[1::2], height)):
        low, high = min(values), max(values)
        total = sum(values) if -size <= low and high <= 2 * size else math.nan
        if math.isnan(total):  # a NaN hides from min and max
            wrong = next(value for value in values if not -size <= value <= 2 * size)
            raise DataError(
                f"{where}: a polygon's {axis} is {_shown(wrong)}, and the image goes from 0 to {size}; give finite "
                "coordinates in pixels of this image"
            )
        outside = outside or low < -1 or high > size + 1
        span = max(span, high - low)
    if span * len(polygon) > _LONGEST_WAY and _way(polygon) > _LONGEST_WAY:
        raise DataError(f"{where}: a polygon of {len(polygon) // 2:,} points goes to and fro; give an object's outline")
    log.count("polygons that reach over the image's edge, cut there", int(outside))


def _way(polygon: list[float]) -> float:
    """Return how many pixels long a polygon is: what decoding it takes grows with that."""
    corners = np.array(polygon).reshape(-1, 2)
    return float(np.abs(np.diff(corners, axis=0)).max(axis=1).sum())


def _from_runs(segmentation: dict[str, Any], height: int, width: int, where: str) -> Any:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise DataError(f"{where}: a mask is for {_shown(size)} (height, width) and the image is {[height, width]}")
    if isinstance(counts, str):
        counts = decode_runs(counts, where)
    if (
        not isinstance(counts, list)
        or {*map(type, counts)} - {int}
        or min(counts, default=0) < 0
        or sum(counts) != height * width
    ):
        raise DataError(f"{where}: the run lengths of a mask don't fill the image; the file is damaged")
    return rle_masks.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def decode_runs(text: str, where: str) -> list[int]:
    """Return the run lengths of COCO's compressed form.

    Each number is written in groups of five bits, the lowest first, as characters from ``0`` on; bit 32 says that
    more follow, and bit 16 of the last is the sign. From the third on they are differences to the run but one before.

    Raises
    ------
    DataError
        If the text holds other characters, or longer numbers than run lengths can be.
    """
    found: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise DataError(f"{where}: the run lengths of a mask hold {character!r}; the file is damaged")
        if shift > _LONGEST:
            raise DataError(f"{where}: the run lengths of a mask don't fill the image; the file is damaged")
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        found.append(number + (found[-2] if len(found) > 2 else 0))
        number = shift = 0
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "a list" if len(value) != 2 else f"{[_shown(part) for part in value]}".replace("'", "")
    if isinstance(value, dict):
        return "an object"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
