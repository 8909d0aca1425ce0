"""Columns from the trainings of an arm: mean scores, completed trainings, and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard._mixed_conditions import MADE_BY, entries
from synthbench.leaderboard.optional_columns import COCO, at
from synthbench.results import NOT_DECLARED, NOT_SEEN
from synthbench.statistics import run_scores

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = [
    "BORDER",
    "COSTS",
    "SHOWN_IOUS",
    "coco_columns",
    "completion_columns",
    "cost_of_runs",
    "existing_copies",
    "generator_seen",
    "generator_steps",
    "mean_over_runs",
    "scale_columns",
    "score_columns",
    "scores_of_runs",
    "scoring_caption",
    "scoring_columns",
]

BORDER = "border_objects"
"""Column of tables whose scores leave objects at the image border out."""

SHOWN_IOUS = (0.5, 0.75, 0.9)
_SCALE = ("scale", "object_diameter")
COSTS = ("generator_seconds", "draw_seconds", "pretraining_seconds", "fit_seconds", "predict_seconds")


def scoring_columns(results: Results) -> dict[str, str]:
    """Return what tables say of how a study scores, where it isn't the usual way."""
    border_objects = results.study.border_objects
    return {} if border_objects == "include" else {BORDER: border_objects}


def scoring_caption(table: pd.DataFrame) -> str:
    """Return what the caption of a table says of how its scores were made: ``" · objects at the border left out"``."""
    return " · objects at the border left out" if BORDER in table else ""


def score_columns(task: str, iou: float | str) -> dict[str, tuple[str, float | str]]:
    """Return the score columns of a task: name → metric and threshold."""
    if task == "semantic":
        return {name: (name, 0.5) for name in ("miou_star", "miou", "dice", "cldice")}
    one = [] if iou == "mean" else [round(float(iou), 2)]
    f1: list[float | str] = [*sorted({*SHOWN_IOUS, *one}), "mean"]
    jaccard: list[float | str] = [*(one or [0.5]), "mean"]
    columns = {at("f1", level): ("f1", level) for level in f1}
    columns |= {at("jaccard_ap", level): ("jaccard_ap", level) for level in jaccard}
    return {**columns, "dice": ("dice", 0.5)}


def scores_of_runs(block: ComparisonBlock, metric: str, iou: float | str, aggregation: str) -> pd.DataFrame:
    """Return ``arm``, ``fold`` and ``score`` of each training of a block; no rows where the metric is missing."""
    if block.images.empty or (metric == "cldice" and block.images["cldice"].isna().all()):
        return pd.DataFrame({"arm": [], "fold": [], "score": []})
    return run_scores(block.images, metric, iou, aggregation)


def mean_over_runs(scores: pd.DataFrame) -> pd.Series:
    """Return the mean score of each arm: over the trainings of a fold, then over folds."""
    return scores.groupby(["arm", "fold"])["score"].mean().groupby("arm").mean()


def coco_columns(block: ComparisonBlock, runs: pd.DataFrame, asked: Sequence[str]) -> dict[str, Any]:
    """Return COCO average precision, mean over trainings, and whether objects lack a confidence."""
    if block.task == "semantic" or "coco_ap" not in runs:
        return {}
    names = [name for name in COCO if name in runs and (name == "coco_ap" or name in asked)]
    values = runs[names].apply(pd.to_numeric, errors="coerce").groupby(runs["fold"]).mean().mean()
    flags = runs.get("unscored", pd.Series(dtype=object)).astype(str).str.lower().isin(["true", "1", "1.0"])
    return {**values.to_dict(), "unscored": bool(flags.any())}


def generator_steps(runs: pd.DataFrame) -> float:
    """Return the optimiser steps of the generator; NaN where unknown."""
    return float(pd.to_numeric(runs["generator_steps"]).max()) if "generator_steps" in runs else np.nan


def generator_seen(runs: pd.DataFrame) -> str:
    """Return how many real images beside the training images the maker of existing samples has seen, in any fold.

    ``"no"`` and ``"not declared"`` as well, as in `synthbench.Results.runs`; an empty string where a generator is
    fitted.
    """
    said = {str(text) for text in runs.get("generator_seen", pd.Series(dtype=str)) if str(text)}
    numbers = [int(text) for text in said if text.isdigit()]
    return NOT_DECLARED if NOT_DECLARED in said else str(max(numbers)) if numbers else NOT_SEEN if said else ""


def existing_copies(runs: pd.DataFrame) -> dict[str, float]:
    """Return how many of the existing samples are copies of test and of validation images; NaN for other generators."""
    return {
        name: pd.to_numeric(runs[name], errors="coerce").max() if name in runs else np.nan
        for name in ("test_copies", "validation_copies")
    }


def scale_columns(runs: pd.DataFrame) -> dict[str, float]:
    """Return the factor that images were scaled by, and the median diameter of objects before; means over folds."""
    known = {name: pd.to_numeric(runs[name], errors="coerce") for name in _SCALE if name in runs}
    means = {name: values.groupby(runs["fold"]).mean().mean() for name, values in known.items()}
    return {"scale": 1.0, "object_diameter": np.nan} | means


def completion_columns(runs: pd.DataFrame) -> dict[str, Any]:
    """Return how many trainings were completed, and the first error."""
    done, planned = int((runs["status"] == "ok").sum()), len(runs)
    errors = [e for e in runs.get("error", pd.Series(dtype=str)) if e]
    return {
        "runs_ok": done,
        "runs_planned": planned,
        "completed": f"{done}/{planned}",
        "status": "ok" if done == planned else "partial" if done else "missing",
        "error": str(errors[0]).strip().splitlines()[0] if errors else "",
    }


def cost_of_runs(runs: pd.DataFrame) -> dict[str, Any]:
    """Return mean seconds, highest memory, and what the trainings were computed with."""

    def numbers(name: str) -> pd.Series:
        return pd.to_numeric(runs[name], errors="coerce") if name in runs else pd.Series(dtype=float)

    seconds = {name: numbers(name).mean() for name in COSTS}
    memory = {name: numbers(name).max() for name in ("peak_memory_mb", "gpu_memory_mb")}
    return {**seconds, **memory, **{name: entries(runs, name) for name in MADE_BY}}
