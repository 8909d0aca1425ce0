"""Differences from the baseline as columns: Δ with its interval, p, verdict and rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard.optional_columns import at
from synthbench.statistics import Comparison, Difference, compare, holm
from synthbench.statistics.image_counts import COUNTED

__all__ = [
    "ALPHA",
    "DRAWS",
    "ONE_SEED",
    "REAL",
    "UNCHANGED",
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


def no_difference(reason: str) -> dict[str, Any]:
    """Return the columns of `difference_columns`, empty, with the reason as verdict."""
    words = {"ok": "no baseline", "partial": "no baseline"}
    names = ("delta", "delta_low", "delta_high", "delta_seeds", "delta_pairs", "delta_images", "delta_units", "p")
    return {
        **dict.fromkeys(names, np.nan),
        "delta_own_variance": False,
        "verdict": words.get(reason, reason),
        **_no_rank(),
    }


def sameness_columns(delta: dict[str, Any], same: int | None) -> dict[str, Any]:
    """Return the number of trainings with the baseline's predictions; if all have, that is the verdict."""
    if same is None:
        return {"unchanged": np.nan}
    changed = not same or same < delta.get("delta_pairs", 0)
    return {"unchanged": same} if changed else {"unchanged": same, "verdict": UNCHANGED}


def _no_rank() -> dict[str, float]:
    return {"rank": np.nan, "rank_low": np.nan, "rank_high": np.nan}
