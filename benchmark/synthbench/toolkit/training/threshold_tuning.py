"""Choosing how a network's output is decoded, on the validation samples and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from synthbench.metrics.ignore import leave_out
from synthbench.metrics.matching import count, pooled
from synthbench.samples import SampleSet

IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds of IoU whose scores are averaged."""

PIXELS = 2_000_000
"""How many pixels of validation images the choice looks at, about; more take longer and tell little."""


def tune(
    decode: Callable[[int, Mapping[str, Any]], np.ndarray],
    truths: Sequence[np.ndarray],
    grid: Mapping[str, Sequence[Any]],
    start: Mapping[str, Any],
    *,
    ignores: Sequence[np.ndarray | None] | None = None,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the values of `grid` with the highest mean of the pooled `jaccard_ap` at IoU 0.5, 0.6 … 0.9.

    One value is varied at a time, in the order of the grid, until none gets better: an ascent from `start`, which
    stays where nothing beats it. Without a true instance there is nothing to choose by, and `start` is returned.

    Parameters
    ----------
    decode
        ``(index, values)`` → predicted label map of validation image `index`.
    truths
        True label maps.
    grid
        Name → values to try.
    start
        A value of each name.
    ignores
        Where true labels are unknown, image by image: bool, or None; see `synthbench.metrics.ignore.leave_out`.
    between
        Called before each trial; what it raises ends the search.

    Returns
    -------
    dict
        A value of each name.
    """
    best = dict(start)
    regions = ignores or [None] * len(truths)
    if not any(np.any(truth) for truth in truths):
        return best
    known: dict[tuple[Any, ...], float] = {}

    def score(values: Mapping[str, Any]) -> float:
        key = tuple(values[name] for name in best)
        if key not in known:
            between()
            pairs = (leave_out(truth, decode(i, values), regions[i]) for i, truth in enumerate(truths))
            counts = [count(truth, found, IOUS) for truth, found in pairs]
            known[key] = float(pooled(counts)["jaccard_ap"].mean())
        return known[key]

    better = True
    while better:
        before = score(best)
        for name, values in grid.items():
            for value in values:
                if score({**best, name: value}) > score(best):
                    best[name] = value
        better = score(best) > before
    return best


def subsample(validation: SampleSet, pixels: int = PIXELS) -> list[int]:
    """Return the positions of evenly spaced samples that have about `pixels` pixels together; at least one, or none."""
    total = sum(entry.height * entry.width for entry in validation.entries)
    if total <= pixels:
        return list(range(len(validation)))
    chosen = max(1, round(len(validation) * pixels / total))
    return [i * len(validation) // chosen for i in range(chosen)]
