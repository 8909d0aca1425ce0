"""Connected components of a mask, found from its runs of equal pixels in a row, which are far fewer than pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.types import AnyArray

__all__ = ["Components", "connected_components"]


@dataclass(frozen=True, eq=False)
class Components:
    """Connected components, one entry each.

    Attributes
    ----------
    label : ndarray
        The label of its pixels.
    area : ndarray
        Number of its pixels.
    interior : ndarray
        Bool: whether it touches no side of the mask.
    """

    label: AnyArray
    area: AnyArray
    interior: AnyArray

    def __len__(self) -> int:
        return len(self.label)


def connected_components(labels: AnyArray, *, diagonal: bool = True) -> Components:
    """Return the connected components of equal labels above 0.

    Parameters
    ----------
    labels
        ``(height, width)``, any integer type or bool, 0 or more.
    diagonal
        Whether pixels that touch at a corner are connected (8 neighbours), or by sides alone (4).

    Returns
    -------
    Pieces
        In no particular order.
    """
    height, width = labels.shape
    starts = np.ones((height, width), bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=starts[:, 1:])
    first = np.flatnonzero(starts)
    value = labels.ravel()[first]
    length = np.diff(first, append=labels.size)
    row, left = np.divmod(first[value > 0], width)
    value, length = value[value > 0], length[value > 0]
    right = left + length
    below, above = _touching(row * (width + 1) + left, row * (width + 1) + right, value, width + 1, int(diagonal))
    root = _joined(len(value), below, above)
    roots, component = np.unique(root, return_inverse=True)
    outside = (row == 0) | (row == height - 1) | (left == 0) | (right == width)
    return Components(
        label=value[roots],
        area=np.bincount(component, weights=length, minlength=len(roots)).astype(np.int64),
        interior=np.bincount(component, weights=outside, minlength=len(roots)) == 0,
    )


def _touching(start: AnyArray, end: AnyArray, value: AnyArray, stride: int, reach: int) -> tuple[AnyArray, AnyArray]:
    """Return the pairs of runs with the same label that touch in neighbouring rows.

    `start` and `end` are places in rows of `stride`, one longer than the mask is wide, so that no run reaches the next
    row. Those that a run touches in the row below follow one another.
    """
    low = np.searchsorted(end, start + stride + (1 - reach), side="left")
    high = np.searchsorted(start, end + stride - (1 - reach), side="right")
    count = np.maximum(high - low, 0)
    above = np.repeat(np.arange(len(start)), count)
    below = np.arange(len(above)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    same = value[above] == value[below]
    return below[same], above[same]


def _joined(count: int, one: AnyArray, other: AnyArray) -> AnyArray:
    """Return for each of `count` elements the smallest element connected to it by any number of pairs (union–find)."""
    root = np.arange(count)
    while len(one):
        a, b = root[one], root[other]
        apart = a != b
        np.minimum.at(root, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        one, other = one[apart], other[apart]
        while not np.array_equal(higher := root[root], root):
            root = higher
    return root
