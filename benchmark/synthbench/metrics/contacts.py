"""Which objects of a label map touch each other: pixels of two objects side by side, or corner to corner."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synthbench.types import AnyArray

__all__ = ["contacts", "touching_labels", "touching_pairs"]

_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns to one neighbour of each opposite pair of the 8-neighbourhood."""


def contacts(labels: AnyArray) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield, for each of the four directions, the labels on both sides of every contact between two objects.

    Parameters
    ----------
    labels
        ``(height, width)`` label map of any integer type; 0 is background.

    Yields
    ------
    first, second : ndarray
        ``(contacts,)``, of the type of `labels`.
    """
    height, width = labels.shape
    for down, right in _NEIGHBOURS:
        here = labels[: height - down, max(0, -right) : width - max(0, right)]
        there = labels[down:, max(0, right) : width - max(0, -right)]
        contact = (here != there) & (here != 0) & (there != 0)
        yield here[contact], there[contact]


def touching_pairs(labels: AnyArray) -> AnyArray:
    """Return the pairs of labels that touch, each once.

    Returns
    -------
    ndarray
        ``(pairs, 2)`` in lexicographic order, the smaller label first; see `contacts` for the parameter.
    """
    pairs = np.concatenate([np.stack(sides, axis=1) for sides in contacts(labels)])
    distinct: AnyArray = np.unique(np.sort(pairs, axis=1), axis=0)
    return distinct


def touching_labels(labels: AnyArray) -> AnyArray:
    """Return the labels that touch another one, in ascending order; see `contacts` for the parameter."""
    touching: AnyArray = np.unique(np.concatenate([side for sides in contacts(labels) for side in sides]))
    return touching
