"""One-to-one choice among the pairs of a sparse table: the assignment problem, solved where pairs compete."""

from __future__ import annotations

import numpy as np

from synthbench.types import AnyArray

__all__ = ["assign"]


def assign(true: AnyArray, predicted: AnyArray, gain: AnyArray) -> AnyArray:
    """Choose pairs so that no instance is in two of them, and the sum of their gains is the largest.

    A pair without a rival is chosen at once. The rest falls into groups that compete among themselves, each a small
    assignment problem of its own.

    Parameters
    ----------
    true, predicted
        ``(pairs,)`` int64, 0 and above: the two instances of each pair. No pair occurs twice.
    gain
        ``(pairs,)`` float64, above 0.

    Returns
    -------
    ndarray
        ``(chosen,)`` int64, ascending: positions of the chosen pairs. Where several choices are equally good, it is
        one of them, always the same for the same table.
    """
    if len(gain) == 0:
        return np.zeros(0, np.int64)
    alone = (np.bincount(true)[true] == 1) & (np.bincount(predicted)[predicted] == 1)
    rivals = np.flatnonzero(~alone)
    chosen = [np.flatnonzero(alone)]
    for members in _groups(true[rivals], predicted[rivals]) if len(rivals) else ():
        here = rivals[members]
        chosen.append(here[_best(true[here], predicted[here], gain[here])])
    return np.sort(np.concatenate(chosen))


def _groups(true: AnyArray, predicted: AnyArray) -> list[AnyArray]:
    """Return the positions of the pairs of each connected part of the graph whose edges the pairs are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, true = np.unique(true, return_inverse=True)
    columns, predicted = np.unique(predicted, return_inverse=True)
    nodes = len(rows) + len(columns)
    graph = coo_array((np.ones(len(true)), (true, predicted + len(rows))), shape=(nodes, nodes))
    part = connected_components(graph, directed=False)[1][true]
    order = np.argsort(part, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(part[order])) + 1)


def _best(true: AnyArray, predicted: AnyArray, gain: AnyArray) -> AnyArray:
    """Solve one group densely; return the positions of the chosen pairs."""
    from scipy.optimize import linear_sum_assignment

    rows, i = np.unique(true, return_inverse=True)
    columns, j = np.unique(predicted, return_inverse=True)
    gains, position = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
    gains[i, j], position[i, j] = gain, np.arange(len(gain))
    chosen = position[linear_sum_assignment(gains, maximize=True)]
    pairs: AnyArray = chosen[chosen >= 0]
    return pairs
