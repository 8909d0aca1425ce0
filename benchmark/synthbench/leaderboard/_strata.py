"""Score and Δ by groups of the test images, one group or several crossed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._run_columns import completion_columns, mean_over_runs, scoring_columns
from synthbench.leaderboard._verdicts import (
    DRAWS,
    REAL,
    arm_columns,
    headline_metric,
    no_difference,
)
from synthbench.results import GROUP
from synthbench.statistics import run_scores
from synthbench.statistics.image_counts import BLOCK

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = [
    "_CROSSED",
    "by_group",
    "combinations",
    "group_columns",
    "groups_of",
    "in_order",
    "score_rows",
    "value_column",
]

_CROSSED = " × "
"""Between the names, and the values, of groups that are crossed."""

_IN_TIME = ("early", "mid", "late")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def by_group(
    results: Results,
    group: str | Sequence[str],
    iou: float | str | None = None,
    aggregation: str = "pooled",
    baseline: str = REAL,
    draws: int = DRAWS,
    metric: str = "",
) -> pd.DataFrame:
    """Return score and Δ by groups of the test images.

    Parameters
    ----------
    results
    group
        ``"difficulty"`` (easy: no object touches another), or ``"group:<name>"``, or such a name; or several of them,
        which are crossed: each combination of values that occurs in the test images has rows of its own. Images without
        a value of one of these groups are left out.
    iou, aggregation, baseline, draws
        See `synthbench.leaderboard.table`.
    metric
        What is compared, one of `synthbench.statistics.METRICS`; by default F-score, or mIoU* of a semantic study.

    Returns
    -------
    DataFrame
        One row per dataset, amount of real data, segmenter, combination of values and arm. ``group`` and ``value`` are
        the names and the values, joined by ``" × "``; ``group:<name>`` has each value by itself; ``images`` is the
        number of test images that the row rests on.

    Raises
    ------
    ConfigError
        If the test images have no such group, or the metric or threshold wasn't scored.
    """
    iou = results.study.iou if iou is None else iou
    every = list(blocks(results))
    columns = group_columns(every, [group] if isinstance(group, str) else group)
    rows: list[dict[str, Any]] = []
    for block in every:
        for values, images in combinations(block, columns):
            names = {
                "group": _CROSSED.join(name.removeprefix(GROUP) for name in columns),
                "value": _CROSSED.join(values),
                **{value_column(name): value for name, value in zip(columns, values, strict=True)},
            }
            for row in score_rows(block, images, iou, aggregation, baseline, draws, metric):
                before = {name: row.pop(name) for name in BLOCK}
                rows.append({**before, **names, **row, **scoring_columns(results)})
    if not rows:
        raise ConfigError(f"by: no test image has all of the groups {', '.join(columns)}; name fewer of them")
    return pd.DataFrame(rows)


def groups_of(block: ComparisonBlock) -> list[str]:
    """Return the columns that group the test images of a block."""
    names = [str(c) for c in block.images]
    return [c for c in names if (c == "difficulty" or c.startswith(GROUP)) and _values(block.images[c]).notna().any()]


def group_columns(every: Sequence[ComparisonBlock], groups: Sequence[str]) -> list[str]:
    """Return the columns of the groups that were named, without repetitions.

    Raises
    ------
    ConfigError
        If the test images of no block have one of them; names the nearest.
    """
    known = dict.fromkeys(name for block in every for name in groups_of(block))
    columns = []
    for group in groups:
        column = group if group in known else f"{GROUP}{group}"
        if column not in known:
            there = f"; there are {', '.join(sorted(known))}" if known else "; these test images have none"
            raise ConfigError(f"group {group!r} is not there{suggest(group, known) or there}")
        columns.append(column)
    return list(dict.fromkeys(columns))


def combinations(block: ComparisonBlock, columns: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """Yield the combinations of values that occur in a block's test images, and the rows of these images.

    Numbers are in numerical order, early, mid and late in that of time, other values in that of the alphabet. Without
    columns, all images are one combination of no values.
    """
    if not set(columns) <= set(groups_of(block)):
        return
    if not columns:
        yield (), block.images
        return
    keys = [_values(block.images[name]) for name in columns]
    parts = {tuple(map(str, values)): rows for values, rows in block.images.groupby(keys)}
    for values in in_order(parts):
        yield values, parts[values]


def in_order(combined: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return combinations of values sorted as `combinations` yields them."""
    return sorted(combined, key=lambda values: tuple(map(_order, values)))


def score_rows(
    block: ComparisonBlock,
    images: pd.DataFrame,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
    metric: str = "",
) -> Iterator[dict[str, Any]]:
    """Yield score and Δ of each arm of a block, on some of its test images."""
    metric, headline = headline_metric(block.task, iou, metric)
    if metric.startswith("coco_ap"):
        raise ConfigError(
            f"metric {metric!r} ranks the objects of all test images together and can't be divided among groups; "
            "jaccard_ap can"
        )
    means = {} if images.empty else mean_over_runs(run_scores(images, metric, iou, aggregation)).to_dict()
    deltas = arm_columns(replace(block, images=images), iou, aggregation, baseline, draws, metric)
    for arm in block.arms:
        state = completion_columns(block.runs[block.runs["arm"] == arm])
        yield {
            "dataset": block.dataset,
            "tested_on": block.tested_on,
            "fraction": block.fraction,
            "segmenter": block.segmenter,
            "images": images["image"].nunique(),
            "arm": arm,
            "metric": headline,
            "aggregation": aggregation if block.task == "instances" else "pooled",
            "score": means.get(arm, np.nan),
            **deltas.get(arm, no_difference(state["status"], decides=block.margin is not None)),
            **state,
        }


def _values(column: pd.Series) -> pd.Series:
    """Return the values of a group; missing where a table has an empty string."""
    return column.where(column.astype(str) != "")


def value_column(column: str) -> str:
    """Return the column that a table has for the values of a group: ``"group:difficulty"``."""
    return column if column.startswith(GROUP) else f"{GROUP}{column}"


def _order(value: str) -> tuple[int, float, str]:
    if value in _IN_TIME:
        return 1, _IN_TIME.index(value), value
    if _NUMBER.fullmatch(value):
        return 0, float(value), value
    return 2, 0.0, value
