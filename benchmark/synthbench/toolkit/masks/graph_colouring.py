"""Label maps as grey-level masks: instances in one plane, neighbouring ones of different grey levels (graph colouring).

Touching objects get different grey levels, so a few levels separate any number of objects. The encoding is Algorithm 1
of Lesmes-Leon et al. (ICAART 2025), with one difference: label maps have no overlaps, so the graph joins objects
that touch (8-neighbourhood). The paper describes an area filter but no decoder; `decode` is added
here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthbench.metrics.contacts import touching_pairs
from synthbench.types import BoolMask, FloatArray, IntArray, LabelMap

__all__ = ["MAX_GREY", "DecodedMask", "GreyMask", "decode", "encode", "greedy_colouring"]

MAX_GREY = 255
_FLAT = 0.75
"""A pixel is flat where the smoothed plane varies by less than this fraction of a level's height (3×3 window)."""
_CLEAN = 0.1
"""A plane whose values are all closer to a level than this fraction of a level's height is decoded exactly."""


@dataclass(frozen=True, eq=False)
class GreyMask:
    """A label map as a grey plane.

    Attributes
    ----------
    plane : ndarray
        ``(height, width)`` uint8; 0 is background, level k of K is ``255 · k / K``.
    kept, dropped : int
        Number of objects with a level, and of objects that would need a further level and became background.
    """

    plane: IntArray
    kept: int
    dropped: int


@dataclass(frozen=True, eq=False)
class DecodedMask:
    """The label map that was decoded from a grey plane.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` int32, objects connected and numbered 1 … n.
    removed : int
        Number of objects outside the allowed range of areas.
    """

    labels: LabelMap
    removed: int


def encode(labels: LabelMap, levels: int, rng: np.random.Generator | None = None) -> GreyMask:
    """Return a label map as a grey plane.

    Objects are coloured by `greedy_colouring`.

    Parameters
    ----------
    labels
        ``(height, width)``, any integer type, ids with or without gaps; 0 is background.
    levels
        Number of grey levels besides the background, 1 … 255.
    rng
        Shuffles the levels, so that no grey value has a meaning of its own. None: levels stay in order.

    Raises
    ------
    ValueError
        If an argument is invalid; the message names it.
    """
    _check(levels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels: {labels.dtype} of shape {labels.shape}; expected a label map, (height, width)")
    ids, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape)
    if len(ids) and ids[0] != 0:
        ids, dense = np.concatenate([[0], ids]), dense + 1
    level = greedy_colouring(dense, max(len(ids) - 1, 0))
    greys = np.arange(levels + 1)
    if rng is not None:
        greys[1:] = rng.permutation(greys[1:])
    kept = level <= levels
    table = np.where(kept, np.rint(MAX_GREY * greys[np.minimum(level, levels)] / levels), 0).astype(np.uint8)
    return GreyMask(table[dense], int(kept[1:].sum()), int((~kept).sum()))


def greedy_colouring(labels: LabelMap, count: int) -> IntArray:
    """Return a level ≥ 1 for each object such that touching objects differ: ``(count + 1,)`` int64, 0 first.

    Objects are visited breadth first, from the lowest id on, and each gets the lowest level that none of its neighbours
    has.

    Parameters
    ----------
    labels
        ``(height, width)``, ids 1 … count without gaps.
    """
    neighbours: list[set[int]] = [set() for _ in range(count + 1)]
    for a, b in touching_pairs(labels).tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    level = np.zeros(count + 1, np.int64)
    for first in range(1, count + 1):
        if level[first]:
            continue
        level[first] = 1
        queue = deque([first])
        while queue:
            for other in sorted(neighbours[queue.popleft()]):
                if not level[other]:
                    taken = {int(level[n]) for n in neighbours[other]}
                    level[other] = next(k for k in range(1, len(taken) + 2) if k not in taken)
                    queue.append(other)
    return level


def decode(plane: FloatArray | IntArray, levels: int, areas: tuple[int, int]) -> DecodedMask:
    """Return the objects of a grey plane that a network has drawn, with blur and noise.

    Where the plane, smoothed by a 3×3 median, is flat, its level is certain. Connected flat pixels of a level are the
    seeds of objects, flat background pixels those of the background, and a watershed on the local range of values
    assigns the pixels in between. So the blurred rim of a bright object, which passes through all lower levels, doesn't
    become an object. A connected foreground component without a flat pixel, such as a small object, is seeded at its
    highest level. A plane as `encode` returns it is decoded exactly, except for objects outside `areas`.

    Parameters
    ----------
    plane
        ``(height, width)``, any real type, about 0 … 255.
    levels
        As in `encode`.
    areas
        Smallest and largest area of an object in pixels; other objects are removed.

    Raises
    ------
    ValueError
        If an argument is invalid; the message names it.
    """
    from skimage.segmentation import watershed

    _check(levels)
    low, high = areas
    if not 1 <= low <= high:
        raise ValueError(f"areas: {areas}; expected 1 ≤ smallest ≤ largest")
    values = np.asarray(plane, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"plane: shape {values.shape}; expected finite values, (height, width)")
    height = MAX_GREY / levels
    nearest = _nearest_levels(values, levels)
    if np.abs(values - nearest * height).max(initial=0) < _CLEAN * height:
        return _filter_areas(_components(nearest, np.ones_like(nearest, bool))[0], low, high)
    smooth = ndimage.median_filter(values, 3)
    slope = ndimage.maximum_filter(smooth, 3) - ndimage.minimum_filter(smooth, 3)
    level, flat = _nearest_levels(smooth, levels), slope < _FLAT * height
    markers, count = _components(level, flat)
    count = _seed_small_objects(markers, level, count)
    markers[flat & (level == 0)] = count + 1
    regions = watershed(slope, markers) if count else np.zeros(values.shape, np.int32)
    return _filter_areas(np.where(regions <= count, regions, 0), low, high)


def _nearest_levels(plane: FloatArray, levels: int) -> IntArray:
    nearest: IntArray = np.clip(np.rint(plane * (levels / MAX_GREY)), 0, levels).astype(np.int64)
    return nearest


def _components(level: IntArray, where: BoolMask) -> tuple[LabelMap, int]:
    """Return the connected components of each level above 0, numbered 1 … count, and count."""
    pieces, count = np.zeros(level.shape, np.int32), 0
    for k in range(1, int(level.max(initial=0)) + 1):
        components, many = ndimage.label(where & (level == k), np.ones((3, 3), bool))
        pieces[components > 0] = components[components > 0] + count
        count += many
    return pieces, count


def _seed_small_objects(markers: LabelMap, level: IntArray, count: int) -> int:
    """Add a marker at the highest level of each connected component without one; return the number of markers."""
    pieces, many = ndimage.label(level > 0, np.ones((3, 3), bool))
    marked = np.zeros(many + 1, bool)
    marked[pieces[markers > 0]] = True
    for piece in np.flatnonzero(~marked[1:]) + 1:
        inside = pieces == piece
        count += 1
        markers[inside & (level == level[inside].max())] = count
    return count


def _filter_areas(labels: LabelMap, low: int, high: int) -> DecodedMask:
    """Keep the objects whose area is in the range, numbered without gaps."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = (sizes >= low) & (sizes <= high)
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return DecodedMask(table[labels], int((sizes > 0).sum() - kept.sum()))


def _check(levels: int) -> None:
    if not 1 <= levels <= MAX_GREY:
        raise ValueError(f"levels: {levels}; expected 1 … {MAX_GREY}")
