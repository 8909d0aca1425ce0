"""Differences from the baseline as columns: Δ with its interval, p, verdict and rank."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard.decisions import decide_block, decided_text, sequential_verdict
from synthbench.leaderboard.optional_columns import at
from synthbench.statistics import Comparison, Decisions, Difference, compare, holm
from synthbench.statistics.image_counts import COUNTED

__all__ = [
    "ALPHA",
    "DRAWS",
    "ONE_SEED",
    "REAL",
    "UNCHANGED",
    "arm_columns",
    "compare_arms",
    "difference_columns",
    "headline_metric",
    "no_difference",
    "sameness_columns",
    "verdict",
]

REAL = "real"
"""The baseline: the arm of real images alone."""

DRAWS = 10_000
"""Resamples behind the intervals."""

ALPHA = 0.05
"""Level of significance of a verdict, after correction for the number of arms."""

ONE_SEED = "undecided, one seed"
UNCHANGED = "nothing changed: were the synthetic images used?"


def headline_metric(task: str, iou: float | str, metric: str = "") -> tuple[str, str]:
    """Return the metric that Δ and rank refer to, by default F-score or mIoU*, and the name of its column."""
    metric = metric or ("miou_star" if task == "semantic" else "f1")
    return metric, at(metric, iou) if metric in COUNTED else metric


def compare_arms(
    block: ComparisonBlock,
    iou: float | str,
    aggregation: str,
    baseline: str = REAL,
    draws: int = DRAWS,
    metric: str = "",
) -> Comparison:
    """Compare the arms of a block by its headline metric, or another; empty if the baseline has no scores."""
    metric, _ = headline_metric(block.task, iou, metric)
    if not block.has_scores(baseline):
        return Comparison(baseline, {}, {})
    return compare(block.images, baseline, metric, iou, aggregation, draws)


def arm_columns(
    block: ComparisonBlock, iou: float | str, aggregation: str, baseline: str, draws: int, metric: str = ""
) -> dict[str, dict[str, Any]]:
    """Return by arm the columns of its difference from the baseline, and its rank; see `compare_arms`."""
    comparison = compare_arms(block, iou, aggregation, baseline, draws, metric)
    if block.margin is None:
        return difference_columns(comparison, baseline)
    if not comparison.draws:
        return {}
    found = decide_block(block, baseline, iou, aggregation, headline_metric(block.task, iou, metric)[0], stop=False)
    return _decision_columns(block, comparison, found, baseline)


def _decision_columns(
    block: ComparisonBlock, comparison: Comparison, found: Decisions, baseline: str
) -> dict[str, dict[str, Any]]:
    """Return what `difference_columns` does, for a study that decides: intervals, p and ranks hold at every look.

    With them come the columns ``decision``, ``p_margin``, ``delta_limit``.
    """
    margin = block.margin or np.nan
    own_tests = block.tested_on == block.dataset
    states = decide_block(block).arms if own_tests and block.has_scores(REAL) else {}
    out = difference_columns(_widened(comparison, found), baseline)
    for arm, row in out.items():
        row.update(_no_decision())
        if arm in found.arms and not np.isnan(row["delta"]):
            own = found.arms[arm]
            out[arm] |= {
                "p": own.p,
                "p_margin": own.p_margin,
                "delta_limit": own.limit,
                "verdict": sequential_verdict(own, margin),
                "decision": decided_text(states[arm], margin, joined=block.is_joined) if arm in states else "",
            }
    return out


def _widened(comparison: Comparison, found: Decisions) -> Comparison:
    """Return the comparison with the repeated confidence intervals; the draws behind ranks are as much wider."""
    differences, draws = {}, dict(comparison.draws)
    for arm, difference in comparison.differences.items():
        own = found.arms.get(arm)
        low, high, widening = (own.low, own.high, own.widening) if own else (np.nan,) * 3
        differences[arm] = replace(difference, low=low, high=high)
        if arm in draws:
            draws[arm] = difference.value + (draws[arm] - difference.value) * widening
    return replace(comparison, differences=differences, draws=draws)


def difference_columns(comparison: Comparison, baseline: str) -> dict[str, dict[str, Any]]:
    """Return by arm the columns of its difference from the baseline, and its rank."""
    differences = comparison.differences
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    ranks = comparison.ranks().set_index("arm") if comparison.draws else pd.DataFrame()
    out: dict[str, dict[str, Any]] = {}
    for arm in (baseline, *differences):
        row = no_difference("baseline")
        if arm in differences:
            d = differences[arm]
            low, high = d.interval
            row = {
                "delta": d.value,
                "delta_low": low,
                "delta_high": high,
                "delta_seeds": d.seeds,
                "delta_pairs": d.pairs,
                "delta_images": d.images if d.pairs else np.nan,
                "delta_units": d.units if d.pairs else np.nan,
                "delta_own_variance": d.own_variance,
                "p": corrected[arm],
                "verdict": verdict(d, corrected[arm]),
                **_no_rank(),
            }
        if arm in ranks.index:
            place = ranks.loc[arm]
            row |= {"rank": place["rank"], "rank_low": place["low"], "rank_high": place["high"]}
            out[arm] = row
        elif arm in differences:
            out[arm] = row
    return out


def verdict(difference: Difference, p: float) -> str:
    """Return better, worse or undecided, from a difference and its corrected p-value; one seed is always undecided."""
    if np.isnan(difference.value):
        return "no pairs"
    if difference.single_training:
        return ONE_SEED
    return (
        "undecided"
        if np.isnan(p) or p >= ALPHA or not difference.value
        else "better"
        if difference.value > 0
        else "worse"
    )


def no_difference(reason: str, *, decides: bool = False) -> dict[str, Any]:
    """Return the columns of `arm_columns`, empty, with the reason as verdict; `decides`: of a study that decides."""
    words = {"ok": "no baseline", "partial": "no baseline"}
    names = ("delta", "delta_low", "delta_high", "delta_seeds", "delta_pairs", "delta_images", "delta_units", "p")
    return {
        **dict.fromkeys(names, np.nan),
        "delta_own_variance": False,
        "verdict": words.get(reason, reason),
        **_no_rank(),
        **(_no_decision() if decides else {}),
    }


def sameness_columns(delta: dict[str, Any], same: int | None) -> dict[str, Any]:
    """Return the number of trainings with the baseline's predictions; if all have, that is the verdict."""
    if same is None:
        return {"unchanged": np.nan}
    changed = not same or same < delta.get("delta_pairs", 0)
    return {"unchanged": same} if changed else {"unchanged": same, "verdict": UNCHANGED}


def _no_decision() -> dict[str, Any]:
    return {"decision": "", "p_margin": np.nan, "delta_limit": np.nan}


def _no_rank() -> dict[str, float]:
    return {"rank": np.nan, "rank_low": np.nan, "rank_high": np.nan}
