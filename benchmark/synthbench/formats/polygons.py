"""Outlines of label maps along the edges of pixels: polygons with holes that cover exactly the pixels of an object."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy import ndimage

from synthbench.types import AnyArray, LabelMap

__all__ = ["Ring", "objects_of", "polygons"]

Ring = list[tuple[int, int]]
"""Corners (x, y) of a closed line; the first is also the last. Pixel (x, y) covers x … x + 1 and y … y + 1."""


def objects_of(labels: LabelMap) -> Iterator[tuple[int, tuple[slice, slice], AnyArray]]:
    """Yield label, window and mask within the window of each object, ``(height, width)`` bool."""
    for label, window in enumerate(ndimage.find_objects(labels.astype(np.int32, copy=False)), 1):
        if window is not None:
            yield label, window, labels[window] == label


def polygons(mask: AnyArray, left: int = 0, top: int = 0) -> list[list[Ring]]:
    """Return the outlines of a mask, a polygon for each piece (4 neighbours): its shell first, then its holes.

    No ring touches itself, and the shell runs the other way round than the holes: the polygons are valid by the rules
    of the Open Geospatial Consortium.

    Parameters
    ----------
    mask
        ``(height, width)`` bool.
    left, top
        Where its first pixel is.
    """
    pieces, count = ndimage.label(mask)
    found = []
    for number in range(1, count + 1):
        rings = [_moved(ring, left, top) for ring in _rings(pieces == number)]
        found.append(sorted(rings, key=_area, reverse=True))
    return found


def _rings(mask: AnyArray) -> list[Ring]:
    """Return the simple closed lines around the pixels of one piece, which lies to the same side of all."""
    inside = np.pad(mask, 1)
    ends: dict[tuple[int, int], list[tuple[int, int]]] = {}
    sides = (
        ((-1, 0), (0, 0), (1, 0)),
        ((0, 1), (1, 0), (1, 1)),
        ((1, 0), (1, 1), (0, 1)),
        ((0, -1), (0, 1), (0, 0)),
    )
    for (down, right), (x0, y0), (x1, y1) in sides:
        beside = np.roll(inside, (-down, -right), (0, 1))
        rows, columns = np.nonzero(inside & ~beside)
        for y, x in zip((rows - 1).tolist(), (columns - 1).tolist(), strict=True):
            ends.setdefault((x + x0, y + y0), []).append((x + x1, y + y1))
    rings: list[Ring] = []
    while ends:
        path = [next(iter(ends))]
        place = {path[0]: 0}
        while path:
            here = path[-1]
            following = ends.get(here)
            if not following:
                break
            corner = following.pop()
            if not following:
                del ends[here]
            if corner in place:  # a ring is complete
                first = place[corner]
                rings.append(_straightened([*path[first:], corner]))
                for passed in path[first + 1 :]:
                    del place[passed]
                del path[first + 1 :]
            else:
                place[corner] = len(path)
                path.append(corner)
    return rings


def _straightened(ring: Ring) -> Ring:
    """Return a ring without the corners at which it doesn't turn."""
    corners = ring[:-1]
    kept = [
        here
        for before, here, after in zip([corners[-1], *corners[:-1]], corners, [*corners[1:], corners[0]], strict=True)
        if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1])
    ]
    return [*kept, kept[0]]


def _moved(ring: Ring, left: int, top: int) -> Ring:
    return [(x + left, y + top) for x, y in ring]


def _area(ring: Ring) -> int:
    """Return twice the area within a ring, negative of a hole."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))
