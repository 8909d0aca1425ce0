"""Selection of the thresholds that decode a network's output, on the validation samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from synthbench.metrics.ignore import leave_out
from synthbench.metrics.matching import count, pooled
from synthbench.plugin.api import Context, Stopped
from synthbench.samples import SampleSet
from synthbench.types import BoolMask, Image, LabelMap

__all__ = ["MAX_PIXELS", "subsample", "tune", "tune_on"]

Output = TypeVar("Output")
"""What a network says of an image, before thresholds apply."""

IOU_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU thresholds over which the score is averaged."""

MAX_PIXELS = 2_000_000
"""Approximate number of pixels of validation images on which thresholds are selected."""


def tune(
    decode: Callable[[int, Mapping[str, Any]], LabelMap],
    truths: Sequence[LabelMap],
    grid: Mapping[str, Sequence[Any]],
    start: Mapping[str, Any],
    *,
    ignores: Sequence[BoolMask | None] | None = None,
    before_trial: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the values of `grid` with the highest mean of the pooled `jaccard_ap` at IoU 0.5, 0.6 … 0.9.

    This is coordinate ascent from `start`: one value is varied at a time, in the order of the grid, until no change
    improves the score. If there is no true instance, `start` is returned.

    Parameters
    ----------
    decode
        ``(index, values)`` → predicted label map ``(height, width)`` of validation image `index`.
    truths
        True label maps, ``(height, width)``.
    grid
        Name → values that are tried.
    start
        Initial value of each name.
    ignores
        Ignore region of each image, ``(height, width)`` bool, or None; see `synthbench.metrics.ignore.leave_out`.
    before_trial
        Called before each trial; an exception that it raises ends the search.

    Returns
    -------
    dict
        The selected value of each name.
    """
    best = dict(start)
    regions = ignores or [None] * len(truths)
    if not any(np.any(truth) for truth in truths):
        return best
    scores: dict[tuple[Any, ...], float] = {}

    def score(values: Mapping[str, Any]) -> float:
        key = tuple(values[name] for name in best)
        if key not in scores:
            before_trial()
            pairs = (leave_out(truth, decode(i, values), regions[i]) for i, truth in enumerate(truths))
            counts = [count(truth, predicted, IOU_THRESHOLDS) for truth, predicted in pairs]
            scores[key] = float(pooled(counts)["jaccard_ap"].mean())
        return scores[key]

    improved = True
    while improved:
        before = score(best)
        for name, values in grid.items():
            for value in values:
                if score({**best, name: value}) > score(best):
                    best[name] = value
        improved = score(best) > before
    return best


def tune_on(
    validation: SampleSet,
    context: Context,
    predict: Callable[[Image], Output],
    decode: Callable[[Output, Mapping[str, Any], tuple[int, ...]], LabelMap],
    grid: Mapping[str, Sequence[Any]],
    start: Mapping[str, Any],
    pixels: int = MAX_PIXELS,
) -> dict[str, Any]:
    """Return the thresholds that are best on validation samples, each of which is predicted once; see `tune`.

    Parameters
    ----------
    validation
        Samples with about `pixels` pixels in total are used, spread evenly over the set.
    context
        Progress is reported to it, and it is asked whether to stop.
    predict
        Returns the network's output for an image.
    decode
        Output, thresholds, and the shape of the image, ``(height, width)`` → label map of that shape.
    grid, start
        As for `tune`.
    pixels

    Raises
    ------
    Stopped
        If ``context.should_stop()`` is true.
    """
    steps = context.budget.steps

    def before_trial() -> None:
        context.progress(steps, steps, "tuning thresholds")
        if context.should_stop():
            raise Stopped("stopped while tuning thresholds")

    outputs, samples = [], []
    for position in subsample(validation, pixels):
        before_trial()
        samples.append(validation[position])
        outputs.append(predict(samples[-1].image))
    return tune(
        lambda index, values: decode(outputs[index], values, samples[index].labels.shape),
        [sample.labels for sample in samples],
        grid,
        start,
        ignores=[sample.ignore for sample in samples],
        before_trial=before_trial,
    )


def subsample(validation: SampleSet, pixels: int = MAX_PIXELS) -> list[int]:
    """Return the positions of evenly spaced samples that have about `pixels` pixels in total, but at least one."""
    total = sum(entry.height * entry.width for entry in validation.entries)
    if total <= pixels:
        return list(range(len(validation)))
    chosen = max(1, round(len(validation) * pixels / total))
    return [i * len(validation) // chosen for i in range(chosen)]
