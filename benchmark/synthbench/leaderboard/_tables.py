"""The leaderboard as a table: one row per dataset, amount of real data, segmenter and arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._controls import no_controls, of_more_real_images, unchanged
from synthbench.leaderboard._convergence import convergence_columns, convergence_notes
from synthbench.leaderboard._fidelity import fidelity, label_consistency, no_label_consistency
from synthbench.leaderboard._gains import against_duplicate, in_real_images, no_gains
from synthbench.leaderboard._headline import found_nothing
from synthbench.leaderboard._run_columns import (
    coco_columns,
    completion_columns,
    cost_of_runs,
    existing_copies,
    generator_seen,
    generator_steps,
    mean_over_runs,
    scale_columns,
    score_columns,
    scores_of_runs,
    scoring_columns,
)
from synthbench.leaderboard._sensitivity import sensitivity_notes
from synthbench.leaderboard._verdicts import (
    DRAWS,
    REAL,
    arm_columns,
    headline_metric,
    no_difference,
    sameness_columns,
)
from synthbench.leaderboard._verification import verification_columns
from synthbench.leaderboard.optional_columns import columns_of, scores_of
from synthbench.results import SCRATCH, unmodelled_groups

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["table"]


def table(
    results: Results,
    iou: float | str | None = None,
    aggregation: str = "pooled",
    baseline: str = REAL,
    draws: int = DRAWS,
    columns: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the leaderboard.

    Parameters
    ----------
    results
    iou
        The threshold that Δ and rank are of, for instances, or ``"mean"``; None: the study's. A semantic study's are
        of mIoU*.
    aggregation
        Of F-score and Jaccard AP: ``"pooled"`` or ``"per_image"``.
    baseline
        The arm that Δ is from.
    draws
        Resamples behind the intervals.
    columns
        Further ones: see `synthbench.leaderboard.optional_columns.columns_of`.

    Returns
    -------
    DataFrame
        Columns: see `synthbench.leaderboard._columns`. ``attrs["columns"]`` names those that were asked for;
        ``attrs["smoke"]`` says whether a segmenter was trained with the smoke budget. Within a segmenter best first,
        what is missing last. A score is NaN only where ``status`` is ``missing``, or where the column has no meaning
        for the row.

    Raises
    ------
    ConfigError, DataError
        If the threshold wasn't scored, a column isn't known, or the results are damaged.
    """
    iou = results.study.iou if iou is None else iou
    asked = columns_of(columns, iou)
    every = list(blocks(results))
    rows = [_block_rows(results, block, every, iou, aggregation, baseline, draws, asked) for block in every]
    board = pd.DataFrame([row for of_block in rows for row in of_block])
    board.attrs["columns"] = asked
    board.attrs["smoke"] = _is_smoke(results)
    board.attrs["sensitivity"] = list(sensitivity_notes(every, iou, aggregation, baseline))
    board.attrs["convergence"] = list(convergence_notes(results))
    return board


def _is_smoke(results: Results) -> bool:
    """Whether a segmenter was trained with the smoke budget's own number of steps."""
    study = results.study
    budgets = [segmenter.budget or study.budget for segmenter in study.segmenters]
    return any(budget.name == "smoke" and budget.steps is None for budget in budgets)


def _block_rows(
    results: Results,
    block: ComparisonBlock,
    parts: Sequence[ComparisonBlock],
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
    asked: Sequence[str],
) -> list[dict[str, Any]]:
    metric, headline = headline_metric(block.task, iou)
    every = score_columns(block.task, iou) | scores_of(asked, block.task)
    scores = {name: scores_of_runs(block, *what, aggregation) for name, what in every.items()}
    means = {name: mean_over_runs(found) for name, found in scores.items()}
    score_sd = scores[headline].groupby(["arm", "fold"])["score"].std().groupby("arm").mean()
    deltas = arm_columns(block, iou, aggregation, baseline, draws)
    copies = against_duplicate(block, metric, iou, aggregation, draws)
    equivalents = in_real_images(block, parts, metric, iou, aggregation, baseline, draws)
    near = fidelity(results, block)
    more = of_more_real_images(block, parts, metric, iou, aggregation, baseline, draws)
    same = unchanged(block, baseline)
    agreed = label_consistency(results, block, metric, iou, aggregation, draws)
    groups = ", ".join(f"{name}: {count}" for name, count in unmodelled_groups(block.images).items())
    rows = []
    for arm in block.arms:
        runs = block.runs[block.runs["arm"] == arm]
        first = runs.iloc[0]
        state = completion_columns(runs)
        rows.append(
            {
                "dataset": block.dataset,
                "tested_on": block.tested_on,
                "task": block.task,
                "fraction": block.fraction,
                "folds": runs["fold"].nunique(),
                "segmenter": block.segmenter,
                "init": first.get("init", SCRATCH),
                "weights_seen": first.get("weights_seen", ""),
                **scale_columns(runs),
                **convergence_columns(results, block.segmenter, block.dataset),
                "arm": arm,
                "generator": first["generator"],
                "synthetic": int(first["synthetic"]),
                "synthetic_ratio": first.get("synthetic_ratio", np.nan),
                "schedule": first.get("schedule", ""),
                "metric": headline,
                "aggregation": aggregation if block.task == "instances" else "pooled",
                **scoring_columns(results),
                **{name: found.get(arm, np.nan) for name, found in means.items()},
                **coco_columns(block, runs, asked),
                "score_sd": score_sd.get(arm, np.nan),
                **deltas.get(arm, no_difference(state["status"], decides=block.margin is not None)),
                **sameness_columns(deltas.get(arm, {}), same.get(arm)),
                "unmodelled_groups": groups,
                **no_gains(),
                **copies.get(arm, {}),
                **equivalents.get(arm, {}),
                **no_controls(),
                **more.get(arm, {}),
                **near.get(first["generator"], {}),
                **agreed.get(first["generator"], no_label_consistency()),
                "generator_seeds": runs["generator_seed"].nunique() if first["generator"] else np.nan,
                "generator_steps": generator_steps(runs),
                "generator_seen": generator_seen(runs),
                **existing_copies(runs),
                **state,
                **cost_of_runs(runs),
                **verification_columns(runs),
            }
        )
    if found_nothing(rows):  # agreement with a segmenter that detects nothing says nothing about masks
        for row in rows:
            row.update(no_label_consistency())
    return sorted(rows, key=lambda row: (np.nan_to_num(row["rank"], nan=np.inf), -np.nan_to_num(row[headline])))
