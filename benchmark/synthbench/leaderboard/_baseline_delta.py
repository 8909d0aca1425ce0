"""Baseline and Δ by groups of the test images and amounts of real data: the numbers of the layout "baseline (Δ)"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._run_columns import scoring_columns
from synthbench.leaderboard._strata import combinations, group_columns, in_order, score_rows, value_column
from synthbench.leaderboard._verdicts import DRAWS, REAL
from synthbench.results import SCRATCH, real_amount_names, synthetic_amount_names

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["baseline_delta"]

_SHOWN = ("score", "delta", "delta_low", "delta_high", "delta_seeds", "delta_pairs", "delta_images", "delta_units", "p")
_STATE = ("verdict", "runs_ok", "runs_planned", "completed", "status", "error")


def baseline_delta(
    results: Results,
    by: Sequence[str] = (),
    iou: float | str | None = None,
    aggregation: str = "pooled",
    baseline: str = REAL,
    draws: int = DRAWS,
    metric: str = "",
) -> pd.DataFrame:
    """Return the score of the baseline and the Δ of each arm, by groups of the test images and amounts of real data.

    `synthbench.leaderboard.markdown` and `synthbench.leaderboard.terminal_baseline_delta` lay it out with one row per
    combination of groups, one column per amount of real data, and cells "baseline (Δ)"; `synthbench.leaderboard.csv`
    and `synthbench.leaderboard.as_json` write its numbers.

    Parameters
    ----------
    results
    by
        Groups, as in `synthbench.leaderboard.by_group`; several are crossed. None: all test images of a dataset
        together.
    iou, aggregation, baseline, draws
        See `synthbench.leaderboard.table`.
    metric
        See `synthbench.leaderboard.by_group`.

    Returns
    -------
    DataFrame
        One row per dataset, test set, combination of values (``group:<name>``), segmenter, arm other than the baseline
        and amount of real data: ``real`` and ``amount`` are the study's names of the amounts of real and synthetic
        images (``"25 %"``, ``"2x"``), ``baseline`` and ``score`` the scores, 0 … 1, of the baseline and of the arm, and
        ``delta`` their paired difference with its interval. NaN where nothing was scored.

    Raises
    ------
    ConfigError
        If the test images have no such group, no arm but the baseline was planned, or the metric or threshold wasn't
        scored.
    """
    iou = results.study.iou if iou is None else iou
    every = list(blocks(results))
    columns = group_columns(every, by)
    rows: list[dict[str, Any]] = []
    for dataset, tested_on in dict.fromkeys((block.dataset, block.tested_on) for block in every):
        here = [block for block in every if (block.dataset, block.tested_on) == (dataset, tested_on)]
        real = real_amount_names(results.study, [block.fraction for block in here])
        found = [dict(combinations(block, columns)) for block in here]
        for values in in_order({values for parts in found for values in parts}):
            names = dict(zip(map(value_column, columns), values, strict=True))
            for block, parts in zip(here, found, strict=True):
                images = parts.get(values, block.images[:0])
                head = {"dataset": dataset, "tested_on": tested_on, **names, "real": real[block.fraction]}
                of_arms = _rows(results, block, images, iou, aggregation, baseline, draws, metric)
                rows.extend({**head, **row} for row in of_arms)
    if not rows:
        if all(block.arms == [baseline] for block in every):
            raise ConfigError(f"layout baseline-delta: no arm beside {baseline!r} to compare with it; use layout long")
        raise ConfigError(f"by: no test image has all of the groups {', '.join(columns)}; name fewer of them")
    return pd.DataFrame(rows)


def _rows(
    results: Results,
    block: ComparisonBlock,
    images: pd.DataFrame,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
    metric: str,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each arm of a block but the baseline, and for each amount that it stands for."""
    scored = list(score_rows(block, images, iou, aggregation, baseline, draws, metric))
    reference = next((row for row in scored if row["arm"] == baseline), {"score": np.nan, "completed": "0/0"})
    for row in scored:
        if row["arm"] == baseline:
            continue
        run = block.runs[block.runs["arm"] == row["arm"]].iloc[0]
        for amount in synthetic_amount_names(results.study, int(run["synthetic"]), block.fraction):
            yield {
                **{name: row[name] for name in ("fraction", "segmenter")},
                "init": run.get("init", SCRATCH),
                "weights_seen": run.get("weights_seen", ""),
                "arm": row["arm"],
                "generator": run["generator"],
                "synthetic": int(run["synthetic"]),
                "amount": amount,
                **{name: row[name] for name in ("images", "metric", "aggregation")},
                "baseline": reference["score"],
                **{name: row[name] for name in _SHOWN},
                "baseline_completed": reference["completed"],
                **{name: row[name] for name in _STATE},
                **scoring_columns(results),
            }
