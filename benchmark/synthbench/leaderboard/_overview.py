"""The arms of a study over its datasets, amounts and segmenters: mean Δ, comparisons won and lost, headroom, rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._formatting import NOT_APPLICABLE, percent, short, signed
from synthbench.leaderboard._verdicts import DRAWS, REAL, headline_metric, verdict
from synthbench.leaderboard.decisions import decide_block
from synthbench.results import synthetic_amount_names
from synthbench.statistics import Comparison, compare_over_blocks, holm, interval_and_p, share_of

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["ABOUT_OVERVIEW", "ALL_COMPARISONS", "overview", "overview_lines"]

ALL_COMPARISONS = "all datasets, amounts of real images and segmenters"
ABOUT_OVERVIEW = (
    "Mean Δ over all comparisons with its 95 % interval, which covers other test images and seeds, not other datasets "
    "or segmenters. won, lost: share of the comparisons that are better or worse by themselves; the others are "
    "undecided. of headroom: mean share of the gain from more real images, weighted by this gain. An arm that lacks a "
    "comparison has no mean and no rank."
)
"""What people should know of an overview."""

_MORE = "real, more images"
_NONE = dict.fromkeys(("recovered", "recovered_low", "recovered_high"), np.nan)


def overview(
    results: Results, board: pd.DataFrame, aggregation: str = "pooled", draws: int = DRAWS
) -> pd.DataFrame | None:
    """Return a row per arm over all comparisons of a study, best first.

    Parameters
    ----------
    results
    board
        The leaderboard of these results, whose verdicts are counted; see `synthbench.leaderboard.table`.
    aggregation, draws
        See `synthbench.leaderboard.table`.

    Returns
    -------
    DataFrame or None
        ``arm``, with amounts as the study writes them; ``comparisons`` (datasets × amounts × segmenters that it was
        compared in) of ``possible``; ``won``, ``lost`` (shares that are better or worse by their own verdicts; others
        are undecided); ``delta``, ``delta_low``, ``delta_high``, ``p``, ``verdict`` of the mean; ``recovered``
        with its ends, the mean share of the gain from more real images, weighted by this gain; ``rank``, ``rank_low``,
        ``rank_high``. An arm that lacks a comparison has no mean and no rank. None where there is one comparison alone,
        or the scores are of different kinds.
    """
    found = [block for block in blocks(results) if _compares(block)]
    if len(found) < 2 or len({block.task for block in found}) > 1:
        return None
    metric, _ = headline_metric(found[0].task, results.study.iou)
    how: dict[str, Any] = {"metric": metric, "iou": results.study.iou, "aggregation": aggregation, "draws": draws}
    comparison = _at_every_look(compare_over_blocks(_frames(results, found), REAL, **how), results, found)
    shares = _recovered(results, found, how)
    ranks = comparison.ranks().set_index("arm")
    corrected = dict(zip(comparison.differences, holm([d.p for d in comparison.differences.values()]), strict=True))
    counts = _counts(results, found, board)
    rows = []
    for arm in (REAL, *comparison.differences):
        difference = comparison.differences.get(arm)
        own = counts.get(arm, {"comparisons": len(found), "won": np.nan, "lost": np.nan})
        row = {"arm": arm, **own, "possible": len(found), "p": np.nan, "verdict": "baseline", **_NONE}
        row |= dict.fromkeys(("delta", "delta_low", "delta_high"), np.nan)
        if difference is not None:
            low, high = difference.interval
            row |= {"delta": difference.value, "delta_low": low, "delta_high": high, "p": corrected[arm]}
            row |= {"verdict": verdict(difference, corrected[arm]), **shares.get(arm, _NONE)}
        places = ranks.loc[arm] if arm in ranks.index else dict.fromkeys(("rank", "low", "high"), np.nan)
        row |= {"rank": places["rank"], "rank_low": places["low"], "rank_high": places["high"]}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("rank", kind="stable", na_position="last").reset_index(drop=True)


def _compares(block: ComparisonBlock) -> bool:
    return block.tested_on == block.dataset and block.has_scores(REAL) and len(set(block.images["arm"])) > 1


def _label(results: Results, arm: str, synthetic: int, fraction: int) -> str:
    """Return the name of an arm with the study's name of its amount, which is the same for every dataset."""
    if not synthetic:
        return arm
    names = " = ".join(synthetic_amount_names(results.study, synthetic, fraction))
    return arm.replace(f" × {synthetic}", f" × {names}")


def _labels(results: Results, block: ComparisonBlock) -> dict[str, str]:
    first = block.runs.drop_duplicates("arm")
    return {
        str(arm): _label(results, str(arm), int(synthetic), block.fraction)
        for arm, synthetic in zip(first["arm"], first["synthetic"], strict=True)
    }


def _frames(results: Results, found: Sequence[ComparisonBlock]) -> dict[str, list[pd.DataFrame]]:
    frames: dict[str, list[pd.DataFrame]] = {}
    for block in found:
        renamed = block.images.assign(arm=block.images["arm"].map(_labels(results, block)))
        frames.setdefault(block.dataset, []).append(renamed)
    return frames


def _at_every_look(comparison: Comparison, results: Results, found: Sequence[ComparisonBlock]) -> Comparison:
    """Return the comparison with intervals and p-values that hold whenever arms were stopped, of a study that decides.

    A mean is widened as the repeated confidence interval of its comparison that is widened most.
    """
    if results.study.decide is None:
        return comparison
    factors: dict[str, float] = {}
    for block in found:
        names = _labels(results, block)
        for arm, own in decide_block(block, stop=False).arms.items():
            factors[names[arm]] = float(np.maximum(factors.get(names[arm], 1.0), own.widening))  # NaN stays
    differences, draws = dict(comparison.differences), dict(comparison.draws)
    for arm in draws.keys() & factors.keys():
        value = differences[arm].value
        draws[arm] = value + (draws[arm] - value) * factors[arm]
        low, high, p = interval_and_p(draws[arm])
        differences[arm] = replace(differences[arm], low=low, high=high, p=p)
    return replace(comparison, differences=differences, draws=draws)


def _recovered(
    results: Results, found: Sequence[ComparisonBlock], how: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Return the share of the mean gain from more real images, over the comparisons that have a larger amount."""
    every = list(blocks(results))
    frames: dict[str, list[pd.DataFrame]] = {}
    for block in found:
        most = max(block.at_all_amounts(every), key=lambda each: each.fraction)
        if most.fraction > block.fraction and most.has_scores(REAL):
            (frame,) = _frames(results, [block])[block.dataset]
            more = most.images[most.images["arm"] == REAL].assign(arm=_MORE, fraction=block.fraction)
            frames.setdefault(block.dataset, []).append(pd.concat([frame, more], ignore_index=True))
    if not frames:
        return {}
    comparison = compare_over_blocks(frames, REAL, **how, unpooled=[_MORE])
    if _MORE not in comparison.draws or comparison.differences[_MORE].single_training:
        return {}
    return {arm: _share(comparison, arm) for arm in comparison.draws if arm not in (REAL, _MORE)}


def _share(comparison: Comparison, arm: str) -> dict[str, float]:
    own, more = comparison.differences[arm], comparison.differences[_MORE]
    found = share_of(own.value, comparison.draws[arm], more.value, comparison.draws[_MORE])
    return dict(zip(_NONE, (found.value, found.low, found.high), strict=True))


def _counts(results: Results, found: Sequence[ComparisonBlock], board: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return by arm in how many comparisons it has a difference, and the shares of those that are better or worse."""
    verdicts: dict[str, list[str]] = {}
    for block in found:
        names = _labels(results, block)
        same = (board["dataset"] == block.dataset) & (board["tested_on"] == block.tested_on)
        same &= (board["fraction"] == block.fraction) & (board["segmenter"] == block.segmenter)
        for row in board[same & board["delta"].notna()].to_dict("records"):
            verdicts.setdefault(names[str(row["arm"])], []).append(str(row["verdict"]))
    return {
        arm: {
            "comparisons": len(own),
            "won": sum(text.startswith("better") for text in own) / len(own),
            "lost": sum(text.startswith("worse") for text in own) / len(own),
        }
        for arm, own in verdicts.items()
    }


def overview_lines(found: pd.DataFrame) -> list[list[str]]:
    """Return the heading and the rows of an overview, as texts."""
    lines = [["arm", "mean Δ", "verdict", "rank", "won", "lost", "of headroom", "comparisons"]]
    for row in found.to_dict("records"):
        baseline = row["arm"] == REAL
        lines.append(
            [
                short(str(row["arm"])),
                "baseline" if baseline else _interval(row, "delta", signed),
                str(row["verdict"]),
                NOT_APPLICABLE if pd.isna(row["rank"]) else _rank(row),
                NOT_APPLICABLE if baseline else percent(row["won"]),
                NOT_APPLICABLE if baseline else percent(row["lost"]),
                NOT_APPLICABLE if baseline else _interval(row, "recovered", percent),
                f"{row['comparisons']:.0f} of {row['possible']}",
            ]
        )
    return lines


def _rank(row: Mapping[Any, Any]) -> str:
    return f"{row['rank']:.0f} ({row['rank_low']:.0f}–{row['rank_high']:.0f})"


def _interval(row: Mapping[Any, Any], name: str, write: Callable[[float], str]) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(value):
        return NOT_APPLICABLE
    return write(value) + ("" if pd.isna(low) else f" [{write(low)}, {write(high)}]")
