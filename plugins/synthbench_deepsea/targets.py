"""DeepSea's targets, cells and touching edges, and the way back from predicted planes to instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthbench.samples import IGNORED
from synthbench.toolkit.masks.distance import drop_small
from synthbench.types import BoolMask, FloatArray, LabelMap

__all__ = ["EDGE_GRID", "EDGE_START", "MIN_AREA", "decode_edges", "decode_paper", "disc", "encode", "touching_edges"]

MIN_AREA = 20
"""Instances of fewer pixels are dropped by the published decoding."""

EDGE_GRID: Mapping[str, Sequence[Any]] = {
    "cell": (0.3, 0.4, 0.5, 0.6, 0.7),
    "edge": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "area": (1, 8, 20, 32),
}
"""Values of the thresholds of `decode_edges` that are tried on the validation samples."""

EDGE_START: Mapping[str, Any] = {"cell": 0.5, "edge": 0.5, "area": 20}


def disc(radius: int) -> BoolMask:
    """Return the pixels within a distance of the middle one, ``(2 radius + 1)²`` bool."""
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside: BoolMask = rows**2 + columns**2 <= radius**2
    return inside


def touching_edges(labels: LabelMap, radius: int = 1) -> BoolMask:
    """Return the pixels near two different instances.

    A pixel belongs to a touching edge if pixels of at least two instances lie within `radius` of it, itself included.
    Between instances that touch, the edge is 2 `radius` pixels wide; between those with a gap of at most
    2 `radius` − 1 pixels, it covers the gap, too.

    Parameters
    ----------
    labels
        ``(H, W)``, any integer type; 0 is background.
    radius
        In pixels, ≥ 1.

    Returns
    -------
    ndarray
        ``(H, W)`` bool.
    """
    numbers = labels.astype(np.int64)
    none = int(numbers.max()) + 1
    highest = ndimage.maximum_filter(numbers, footprint=disc(radius), mode="constant", cval=0)
    lowest = ndimage.minimum_filter(
        np.where(numbers > 0, numbers, none), footprint=disc(radius), mode="constant", cval=none
    )
    edges: BoolMask = (highest > 0) & (lowest < highest)
    return edges


def encode(labels: LabelMap, ignore: BoolMask | None = None, radius: int = 1) -> NDArray[np.int8]:
    """Return the classes of each pixel for both heads.

    Parameters
    ----------
    labels
        ``(H, W)``; 0 is background.
    ignore
        ``(H, W)`` bool: where the label is unknown; None for nowhere.
    radius
        Of `touching_edges`.

    Returns
    -------
    ndarray
        ``(2, H, W)`` int8: cells without touching edges, and touching edges; 1 yes, 0 no, −1 unknown. Within `radius`
        of a pixel of unknown label it is unknown whether two instances touch, so the classes are, too.
    """
    edges = touching_edges(labels, radius)
    planes = np.stack([(labels > 0) & ~edges, edges]).astype(np.int8)
    if ignore is not None:
        planes[:, ndimage.binary_dilation(ignore, disc(radius))] = IGNORED
    return planes


def decode_paper(cells: FloatArray) -> NDArray[np.int32]:
    """Return the instances of the published decoding: components of the most likely class, at least `MIN_AREA` large.

    Parameters
    ----------
    cells
        Probability of a cell's inside, ``(H, W)``.

    Returns
    -------
    ndarray
        ``(H, W)`` int32: 0 and 1 … n, every number used. Pixels that touch at a corner only aren't connected.
    """
    return drop_small(ndimage.label(cells > 0.5)[0], MIN_AREA)


def decode_edges(
    cells: FloatArray, edges: FloatArray, radius: int, *, cell: float = 0.5, edge: float = 0.5, area: int = MIN_AREA
) -> NDArray[np.int32]:
    """Return instances that the edge head separates.

    The connected components of the cells without the touching edges are the instances. They then grow over the edges,
    by as much as `encode` took from them: a pixel of an edge belongs to the nearest instance within `radius`.

    Parameters
    ----------
    cells, edges
        Probabilities of the two heads, ``(H, W)``.
    radius
        Of `touching_edges`.
    cell
        Smallest probability of a cell's pixel, 0 … 1.
    edge
        Smallest probability of an edge's pixel, 0 … 1.
    area
        Smallest area of an instance before it grows, in pixels.

    Returns
    -------
    ndarray
        ``(H, W)`` int32: 0 and 1 … n, every number used.
    """
    on_edge = edges >= edge
    labels = drop_small(ndimage.label((cells >= cell) & ~on_edge)[0], area)
    if not labels.any() or not on_edge.any():
        return labels
    distance, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown = on_edge & (distance < radius + 0.5)
    return np.where(grown, labels[rows, columns], labels).astype(np.int32)
