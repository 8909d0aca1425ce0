"""Basins of a watershed, and which of them are one instance; see `synthbench.toolkit.masks.distance`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthbench.types import FloatArray, LabelMap

__all__ = ["Passes", "join_basins", "passes_of"]


@dataclass(frozen=True, eq=False)
class Passes:
    """The heights of basins, and of the passes between neighbours.

    Attributes
    ----------
    peaks : ndarray
        ``(n + 1,)``: the greatest height of each basin; of 0, the background, without meaning.
    pairs : list
        Two neighbouring basins and the height of the highest pass between them, the highest pass first.
    """

    peaks: FloatArray
    pairs: list[tuple[int, int, float]]


def join_basins(basins: LabelMap, passes: Passes, valley: float, seed: float) -> NDArray[np.int64]:
    """Join neighbouring basins whose valley isn't deeper than `valley`, and remove those lower than `seed` everywhere.

    Parameters
    ----------
    basins
        ``(H, W)`` int: 0 and 1 … n.
    passes
        Of these basins.
    valley, seed
        See `synthbench.toolkit.masks.distance.Thresholds`.

    Returns
    -------
    ndarray
        ``(H, W)`` int64; not every number is used.
    """
    peak = passes.peaks
    root = list(range(len(peak)))

    def root_of(basin: int) -> int:
        while root[basin] != basin:
            basin = root[basin]
        return basin

    for first, second, pass_height in passes.pairs:
        low, high = sorted((root_of(first), root_of(second)), key=peak.__getitem__)
        if peak[low] - pass_height <= valley:
            root[low] = high
    joined = np.array([root_of(basin) for basin in range(len(peak))])
    joined[peak[joined] < seed] = 0
    joined[0] = 0
    return joined[basins]


def passes_of(basins: LabelMap, height: FloatArray) -> Passes:
    """Return how high basins ``(H, W)`` are, and the passes between them, in a map of heights ``(H, W)``."""
    peaks = np.full(int(basins.max()) + 1, -np.inf, height.dtype)
    np.maximum.at(peaks, basins.ravel(), height.ravel())
    pairs, passes = [], []
    for here, there in (((slice(None), slice(1, None)), (slice(None), slice(-1))), ((slice(1, None),), (slice(-1),))):
        a, b = basins[here], basins[there]
        border = (a != b) & (a > 0) & (b > 0)
        pairs.append(np.sort(np.stack([a[border], b[border]]), axis=0))
        passes.append(np.minimum(height[here][border], height[there][border]))
    first, second = np.concatenate(pairs, axis=1)
    heights = np.concatenate(passes)
    order = np.lexsort((second, first, -heights))
    _, once = np.unique(first[order].astype(np.int64) << 32 | second[order], return_index=True)
    order = order[np.sort(once)]
    return Passes(peaks, list(zip(first[order].tolist(), second[order].tolist(), heights[order].tolist(), strict=True)))
