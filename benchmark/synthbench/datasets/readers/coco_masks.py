"""COCO's two encodings of masks, polygons and run lengths, validated before C code decodes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as rle_masks

from synthbench.datasets.import_options import ImportLog
from synthbench.errors import DataError

__all__ = ["decode_runs", "encode", "merge_listings"]

SAME_OBJECT_IOU = 0.5
"""Objects of two listings of an image are the same object from this intersection over union on."""
_MIN_COORDINATES = 6
_MAX_PERIMETER = 5e6
"""Longest outline in pixels: decoding allocates 40 bytes per pixel without checking that it can."""
_MAX_RUN_BITS = 30
"""Bits of a run length: enough for any image."""


def encode(segmentation: Any, height: int, width: int, where: str, log: ImportLog) -> Any:
    """Return a segmentation as pycocotools' compressed run lengths; None if it is empty.

    Parameters
    ----------
    segmentation
        As the JSON file has it.
    height, width
        Of the image.
    where
        Names the annotation in messages.
    log

    Raises
    ------
    DataError
        If it isn't a valid mask of this image.
    """
    if segmentation is None or segmentation in ([], {}, ""):
        log.count("annotations without a mask, omitted")
        return None
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, height, width, where)
    if not isinstance(segmentation, list):
        raise DataError(f"{where}: the mask is {_shown(segmentation)}; expected polygons or run lengths")
    polygons = _polygons(segmentation, height, width, where, log)
    if not polygons:
        log.count("annotations without a mask, omitted")
        return None
    return rle_masks.merge(rle_masks.frPyObjects(polygons, height, width))


def merge_listings(first: list[Any], second: list[Any], log: ImportLog) -> list[Any]:
    """Return the objects of two listings of one image: all of the first, then those that only the second has.

    Parameters
    ----------
    first, second
        Objects as ``(mask, value)``; the mask in compressed run lengths.
    """
    if not first or not second:
        return [*first, *second]
    overlaps = rle_masks.iou([mask for mask, _ in second], [mask for mask, _ in first], [0] * len(first))
    values = [np.array([value for _, value in objects]) for objects in (second, first)]
    same = (np.asarray(overlaps) >= SAME_OBJECT_IOU) & (values[0][:, None] == values[1][None, :])
    new = [item for item, known in zip(second, same.any(axis=1), strict=True) if not known]
    log.count("objects in both listings of an image, the first kept", len(second) - len(new))
    log.count("objects in only one of two listings of an image, kept", len(new) + int((~same.any(axis=0)).sum()))
    return [*first, *new]


def _polygons(segmentation: list[Any], height: int, width: int, where: str, log: ImportLog) -> list[list[float]]:
    if {*map(type, segmentation)} <= {int, float}:
        raise DataError(f"{where}: the segmentation is a flat list; expected a list of polygons: [[x1, y1, x2, y2, …]]")
    polygons = []
    for polygon in segmentation:
        if not isinstance(polygon, list):
            raise DataError(f"{where}: a polygon is {_shown(polygon)}; expected a list of numbers: [x1, y1, x2, y2, …]")
        wrong = next((value for value in polygon if type(value) not in (int, float)), None) if polygon else None
        if isinstance(wrong, list | dict):
            raise DataError(f"{where}: a polygon is a nested list; expected flat polygons: [[x1, y1, x2, y2, …]]")
        if {*map(type, polygon)} - {int, float}:
            raise DataError(f"{where}: a polygon contains {_shown(wrong)}; expected numbers")
        if len(polygon) % 2:
            raise DataError(f"{where}: a polygon has {len(polygon)} numbers; expected pairs: [x1, y1, x2, y2, …]")
        if len(polygon) < _MIN_COORDINATES:
            log.count("polygons of fewer than three points, omitted")
            continue
        _check_extent(polygon, height, width, where, log)
        polygons.append(polygon)
    return polygons


def _check_extent(polygon: list[float], height: int, width: int, where: str, log: ImportLog) -> None:
    """Raise `DataError` if a coordinate isn't finite, or lies further outside than the size of the image."""
    outside, span = False, 0.0
    for axis, values, size in (("x", polygon[::2], width), ("y", polygon[1::2], height)):
        low, high = min(values), max(values)
        total = sum(values) if -size <= low and high <= 2 * size else math.nan
        if math.isnan(total):  # a NaN hides from min and max
            wrong = next(value for value in values if not -size <= value <= 2 * size)
            raise DataError(
                f"{where}: a polygon has {axis} = {_shown(wrong)}, but the image reaches from 0 to {size}; expected "
                "finite coordinates in pixels of this image"
            )
        outside = outside or low < -1 or high > size + 1
        span = max(span, high - low)
    if span * len(polygon) > _MAX_PERIMETER and _perimeter(polygon) > _MAX_PERIMETER:
        raise DataError(f"{where}: a polygon of {len(polygon) // 2:,} points is too long to be an object's outline")
    log.count("polygons that extend beyond the image, clipped", int(outside))


def _perimeter(polygon: list[float]) -> float:
    """Return the length of a polygon in pixels, to which the memory for decoding is proportional."""
    corners = np.array(polygon).reshape(-1, 2)
    return float(np.abs(np.diff(corners, axis=0)).max(axis=1).sum())


def _from_runs(segmentation: dict[str, Any], height: int, width: int, where: str) -> Any:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise DataError(f"{where}: a mask has size {_shown(size)} (height, width), but the image is {[height, width]}")
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
    """Return the run lengths in a string of COCO's compressed form.

    Each number is written in groups of five bits, lowest first, one character per group, starting at ``0``. Bit 32
    means that another group follows; bit 16 of the last group is the sign. From the third run on, the number is the
    difference from the run two before.

    Raises
    ------
    DataError
        If the text contains other characters, or numbers that are too long.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise DataError(f"{where}: the run lengths of a mask contain {character!r}; the file is damaged")
        if shift > _MAX_RUN_BITS:
            raise DataError(f"{where}: the run lengths of a mask don't fill the image; the file is damaged")
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "a list" if len(value) != 2 else f"{[_shown(item) for item in value]}".replace("'", "")
    if isinstance(value, dict):
        return "an object"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
