"""Curves: F-score by IoU threshold, of each arm and of its difference from real; and score by number of real images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard._charts import Line
from synthbench.leaderboard._formatting import short
from synthbench.leaderboard._run_columns import scores_of_runs
from synthbench.statistics.image_counts import image_counts

__all__ = ["difference_lines", "learning_lines", "score_lines"]

_PAIR = ["fold", "seed"]
_REST = ["arm", "generator_seed"]


def score_lines(block: ComparisonBlock, places: dict[str, int], aggregation: str) -> list[Line]:
    """Return one line per arm that was scored: mean over trainings, from the lowest to the highest of them."""
    return [_line(arm, runs, places) for arm, runs in _by_arm(_by_iou(block, aggregation), block)]


def difference_lines(block: ComparisonBlock, places: dict[str, int], aggregation: str, baseline: str) -> list[Line]:
    """Return one line per arm of its difference from the baseline, trainings of one fold and seed being paired."""
    runs = _by_iou(block, aggregation)
    base = runs.loc[runs.index.get_level_values("arm") == baseline].groupby(_PAIR).mean()
    lines = []
    for arm, own in _by_arm(runs, block):
        if arm == baseline:
            continue
        keys = own.reset_index(_REST, drop=True).index
        paired = own.to_numpy() - base.reindex(keys).to_numpy()
        paired = paired[~np.isnan(paired).any(axis=1)]
        if len(paired):
            lines.append(_line(arm, pd.DataFrame(paired, columns=own.columns), places))
    return lines


def learning_lines(
    parts: Sequence[ComparisonBlock], places: dict[str, int], metric: str, iou: float | str, aggregation: str
) -> list[Line]:
    """Return one line per arm over the numbers of real images, as `score_lines` does over thresholds.

    Parameters
    ----------
    parts
        Blocks of one dataset, test set and segmenter.
    places
        Of the arms.
    metric, iou, aggregation
        The score.
    """
    rows = [
        scores_of_runs(block, metric, iou, aggregation).assign(fraction=block.fraction)
        for block in sorted(parts, key=lambda each: each.fraction)
    ]
    scores = pd.concat(rows, ignore_index=True)
    lines = []
    for arm in sorted(set(scores["arm"]), key=lambda name: places[name]):
        of_amount = scores[scores["arm"] == arm].groupby("fraction")["score"]
        x = [float(amount) for amount in of_amount.groups]
        lines.append(
            Line(short(arm), x, of_amount.mean().array, of_amount.min().array, of_amount.max().array, places[arm])
        )
    return lines


def _by_iou(block: ComparisonBlock, aggregation: str) -> pd.DataFrame:
    """Return F-scores with one row per run (indexed by what makes it) and one column per threshold."""
    found = image_counts(block.images, "f1", "mean", aggregation)
    return pd.DataFrame(
        found.scores_by_part(), pd.MultiIndex.from_frame(found.runs), sorted(set(block.images["iou"].round(2)))
    )


def _by_arm(runs: pd.DataFrame, block: ComparisonBlock) -> list[tuple[str, pd.DataFrame]]:
    own = runs.index.get_level_values("arm")
    return [(arm, runs.loc[own == arm]) for arm in block.arms if (own == arm).any()]


def _line(arm: str, runs: pd.DataFrame, places: dict[str, int]) -> Line:
    values = runs.to_numpy()
    x = [float(c) for c in runs.columns]
    return Line(short(arm), x, values.mean(axis=0), values.min(axis=0), values.max(axis=0), places[arm])
