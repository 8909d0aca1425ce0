"""The leaderboard as a table: one row per dataset, amount of real data, segmenter and arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.leaderboard.blocks import ComparisonBlock, blocks
from synthbench.leaderboard.controls import no_controls, of_more_real_images, unchanged
from synthbench.leaderboard.fidelity import fidelity, label_consistency, no_label_consistency
from synthbench.leaderboard.gains import against_duplicate, in_real_images, no_gains
from synthbench.leaderboard.mixed_conditions import MADE_BY, entries
from synthbench.leaderboard.narrative import ONE_SEED
from synthbench.leaderboard.optional_columns import COCO, at, columns_of, scores_of
from synthbench.results import unmodelled_groups
from synthbench.statistics import Comparison, Difference, compare, holm, run_scores

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = [
    "COSTS",
    "DRAWS",
    "REAL",
    "SHOWN_IOUS",
    "SURE",
    "UNCHANGED",
    "by_group",
    "compared",
    "groups_of",
    "headline_metric",
    "mean_over_runs",
    "score_columns",
    "table",
    "verdict",
]

REAL = "real"
SURE = 0.05
DRAWS = 10_000
SHOWN_IOUS = (0.5, 0.75, 0.9)
UNCHANGED = "nothing changed: were the synthetic images used?"
COSTS = ("generator_seconds", "draw_seconds", "fit_seconds", "predict_seconds")


def table(
    results: Results,
    iou: float | str = 0.5,
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
        The threshold that Δ and rank are of, for instances, or ``"mean"``; a semantic study's are of mIoU*.
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
        Columns: see `synthbench.leaderboard.columns`; ``attrs["columns"]`` names those that were asked for. Within a
        segmenter best first, what is missing last. A score is NaN only where ``status`` is ``missing``, or where the
        column has no meaning for the row.

    Raises
    ------
    ConfigError, DataError
        If the threshold wasn't scored, a column isn't known, or the results are damaged.
    """
    asked = columns_of(columns, iou)
    parts = list(blocks(results))
    found = [_block_rows(results, block, parts, iou, aggregation, baseline, draws, asked) for block in parts]
    made = pd.DataFrame([row for rows in found for row in rows])
    made.attrs["columns"] = asked
    return made


def by_group(
    results: Results,
    group: str,
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    baseline: str = REAL,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Return score and Δ by strata of the test images.

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
    """Return the columns by which a block's test images can be told apart."""
    names = [str(c) for c in block.images]
    return [c for c in names if (c == "difficulty" or c.startswith("group:")) and block.images[c].notna().any()]


def headline_metric(task: str, iou: float | str) -> tuple[str, str]:
    """Return the metric that Δ and rank are of, and the name of its column."""
    return ("miou_star", "miou_star") if task == "semantic" else ("f1", at("f1", iou))


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


def mean_over_runs(scores: pd.DataFrame) -> pd.Series:
    """Return the mean score of each arm: over the trainings of a fold, then over folds."""
    return scores.groupby(["arm", "fold"])["score"].mean().groupby("arm").mean()


def compared(
    block: ComparisonBlock, iou: float | str, aggregation: str, baseline: str = REAL, draws: int = DRAWS
) -> Comparison:
    """Compare a block's arms by its headline metric; empty when the baseline has no scores."""
    metric, _ = headline_metric(block.task, iou)
    if block.images.empty or not (block.images["arm"] == baseline).any():
        return Comparison(baseline, {}, {})
    return compare(block.images, baseline, metric, iou, aggregation, draws)


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
    scores = {name: _scores(block, *what, aggregation) for name, what in every.items()}
    means = {name: mean_over_runs(found) for name, found in scores.items()}
    score_sd = scores[headline].groupby(["arm", "fold"])["score"].std().groupby("arm").mean()
    deltas = _deltas(compared(block, iou, aggregation, baseline, draws), baseline)
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
        state = _completed(runs)
        rows.append(
            {
                "dataset": block.dataset,
                "task": block.task,
                "fraction": block.fraction,
                "folds": runs["fold"].nunique(),
                "segmenter": block.segmenter,
                "arm": arm,
                "generator": first["generator"],
                "synthetic": int(first["synthetic"]),
                "metric": headline,
                "aggregation": aggregation if block.task == "instances" else "pooled",
                **{name: found.get(arm, np.nan) for name, found in means.items()},
                **_coco(block, runs, asked),
                "score_sd": score_sd.get(arm, np.nan),
                **deltas.get(arm, _no_delta(state["status"])),
                **_sameness(deltas.get(arm, {}), same.get(arm)),
                "unmodelled_groups": groups,
                **no_gains(),
                **copies.get(arm, {}),
                **equivalents.get(arm, {}),
                **no_controls(),
                **more.get(arm, {}),
                **near.get(first["generator"], {}),
                **agreed.get(first["generator"], no_label_consistency()),
                "generator_seeds": runs["generator_seed"].nunique() if first["generator"] else np.nan,
                "generator_steps": _steps(runs),
                **state,
                **_cost(runs),
            }
        )
    return sorted(rows, key=lambda row: (np.nan_to_num(row["rank"], nan=np.inf), -np.nan_to_num(row[headline])))


def _scores(block: ComparisonBlock, metric: str, iou: float | str, aggregation: str) -> pd.DataFrame:
    if block.images.empty or (metric == "cldice" and block.images["cldice"].isna().all()):
        return pd.DataFrame({"arm": [], "fold": [], "score": []})
    return run_scores(block.images, metric, iou, aggregation)


def _deltas(comparison: Comparison, baseline: str) -> dict[str, dict[str, Any]]:
    differences = comparison.differences
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    ranks = comparison.ranks().set_index("arm") if comparison.draws else pd.DataFrame()
    out: dict[str, dict[str, Any]] = {}
    for arm in (baseline, *differences):
        row = _no_delta("baseline")
        if arm in differences:
            d = differences[arm]
            row = {
                "delta": d.value,
                "delta_low": d.low,
                "delta_high": d.high,
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
    """Say what a difference and its corrected p-value show: better, worse or undecided, as one seed always is."""
    if np.isnan(difference.value):
        return "no pairs"
    if difference.single_training:
        return ONE_SEED
    return "undecided" if np.isnan(p) or p >= SURE or not difference.value else _direction(difference.value)


def _direction(value: float) -> str:
    return "better" if value > 0 else "worse"


def _no_delta(reason: str) -> dict[str, Any]:
    words = {"ok": "no baseline", "partial": "no baseline"}
    names = ("delta", "delta_low", "delta_high", "delta_seeds", "delta_pairs", "delta_images", "delta_units", "p")
    return {
        **dict.fromkeys(names, np.nan),
        "delta_own_variance": False,
        "verdict": words.get(reason, reason),
        **_no_rank(),
    }


def _no_rank() -> dict[str, float]:
    return {"rank": np.nan, "rank_low": np.nan, "rank_high": np.nan}


def _coco(block: ComparisonBlock, runs: pd.DataFrame, asked: Sequence[str]) -> dict[str, Any]:
    if block.task == "semantic" or "coco_ap" not in runs:
        return {}
    names = [name for name in COCO if name in runs and (name == "coco_ap" or name in asked)]
    values = runs[names].apply(pd.to_numeric, errors="coerce").groupby(runs["fold"]).mean().mean()
    flags = runs.get("unscored", pd.Series(dtype=object)).astype(str).str.lower().isin(["true", "1", "1.0"])
    return {**values.to_dict(), "unscored": bool(flags.any())}


def _sameness(delta: dict[str, Any], same: int | None) -> dict[str, Any]:
    """Return how many of an arm's trainings predict just what the baseline's do; where all do, that is the verdict."""
    if same is None:
        return {"unchanged": np.nan}
    changed = not same or same < delta.get("delta_pairs", 0)
    return {"unchanged": same} if changed else {"unchanged": same, "verdict": UNCHANGED}


def _steps(runs: pd.DataFrame) -> float:
    return float(pd.to_numeric(runs["generator_steps"]).max()) if "generator_steps" in runs else np.nan


def _completed(runs: pd.DataFrame) -> dict[str, Any]:
    done, planned = int((runs["status"] == "ok").sum()), len(runs)
    errors = [e for e in runs.get("error", pd.Series(dtype=str)) if e]
    return {
        "runs_ok": done,
        "runs_planned": planned,
        "completed": f"{done}/{planned}",
        "status": "ok" if done == planned else "partial" if done else "missing",
        "error": str(errors[0]).strip().splitlines()[0] if errors else "",
    }


def _cost(runs: pd.DataFrame) -> dict[str, Any]:
    def numbers(name: str) -> pd.Series:
        return pd.to_numeric(runs[name], errors="coerce") if name in runs else pd.Series(dtype=float)

    seconds = {name: numbers(name).mean() for name in COSTS}
    memory = {name: numbers(name).max() for name in ("peak_memory_mb", "gpu_memory_mb")}
    return {**seconds, **memory, **{name: entries(runs, name) for name in MADE_BY}}


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
    deltas = _deltas(compared(replace(block, images=images), iou, aggregation, baseline, draws), baseline)
    for arm in block.arms:
        state = _completed(block.runs[block.runs["arm"] == arm])
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
            **deltas.get(arm, _no_delta(state["status"])),
            **state,
        }
