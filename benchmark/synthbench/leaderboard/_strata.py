"""Score and Δ by groups of the test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._run_columns import completion_columns, mean_over_runs
from synthbench.leaderboard._verdicts import (
    DRAWS,
    REAL,
    compare_arms,
    difference_columns,
    headline_metric,
    no_difference,
)
from synthbench.statistics import run_scores

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["by_group", "groups_of"]


def by_group(
    results: Results,
    group: str,
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    baseline: str = REAL,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Return score and Δ by groups of the test images.

    Parameters
    ----------
    group
        ``"difficulty"`` (easy: no object touches another), or ``"group:<name>"``, or such a name.

    Raises
    ------
    ConfigError
        If the test images have no such group.
    """
    rows: list[dict[str, Any]] = []
    known: set[str] = set()
    for block in blocks(results):
        names = groups_of(block)
        known.update(names)
        column = group if group in names else f"group:{group}"
        if column not in names:
            continue
        for value, images in block.images.groupby(column):
            rows.extend(_stratum(block, images, column, str(value), iou, aggregation, baseline, draws))
    if not rows:
        there = f"; there are {', '.join(sorted(known))}" if known else "; these test images have none"
        raise ConfigError(f"group {group!r} is not there{suggest(group, known) or there}")
    return pd.DataFrame(rows)


def groups_of(block: ComparisonBlock) -> list[str]:
    """Return the columns that group the test images of a block."""
    names = [str(c) for c in block.images]
    return [c for c in names if (c == "difficulty" or c.startswith("group:")) and block.images[c].notna().any()]


def _stratum(
    block: ComparisonBlock,
    images: pd.DataFrame,
    group: str,
    value: str,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
) -> Iterator[dict[str, Any]]:
    metric, headline = headline_metric(block.task, iou)
    means = mean_over_runs(run_scores(images, metric, iou, aggregation))
    deltas = difference_columns(
        compare_arms(replace(block, images=images), iou, aggregation, baseline, draws), baseline
    )
    for arm in block.arms:
        state = completion_columns(block.runs[block.runs["arm"] == arm])
        yield {
            "dataset": block.dataset,
            "fraction": block.fraction,
            "segmenter": block.segmenter,
            "group": group.removeprefix("group:"),
            "value": value,
            "images": images["image"].nunique(),
            "arm": arm,
            "metric": headline,
            "aggregation": aggregation if block.task == "instances" else "pooled",
            "score": means.get(arm, np.nan),
            **deltas.get(arm, no_difference(state["status"])),
            **state,
        }
