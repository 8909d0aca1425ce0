"""The score that shows the smallest differences, judged by real images alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import number
from synthbench.leaderboard._run_columns import SHOWN_IOUS
from synthbench.leaderboard.optional_columns import at
from synthbench.results import trained_and_tested
from synthbench.statistics import sensitivity

__all__ = ["sensitivity_notes"]

_DRAWS = 500
_MUCH = 1.5


def sensitivity_notes(
    parts: Sequence[ComparisonBlock], iou: float | str, aggregation: str, baseline: str
) -> Iterator[str]:
    """Yield a sentence for each segmenter, dataset and test set with several amounts of real images.

    Parameters
    ----------
    parts
        All blocks of a study. The smallest amount that has arms beside real images alone, or the smallest of all, is
        compared with the largest.
    iou
        The threshold that the table's Δ is of.
    aggregation, baseline
    """
    for block in parts:
        amounts = sorted(block.at_all_amounts(parts), key=lambda each: each.fraction)
        most = amounts[-1]
        compared = [each for each in amounts[:-1] if len(each.arms) > 1] or amounts[:-1]
        if block not in compared[:1] or block.task == "semantic":
            continue
        if not (block.has_scores(baseline) and most.has_scores(baseline)):
            continue
        scored = {round(float(each), 2) for each in block.images["iou"].dropna().unique()}
        levels: list[float | str] = [*(each for each in SHOWN_IOUS if each in scored), "mean"]
        found = sensitivity(
            block.images, most.images, [("f1", level) for level in levels], baseline, aggregation, _DRAWS
        )
        by_level = {level: value for (_, level), value in found.items()}
        if not by_level or max(by_level.values()) < 1:
            continue
        ratios = ", ".join(f"{number(value, 1)} in {title(at('f1', level))}" for level, value in by_level.items())
        best = max(by_level, key=lambda level: by_level[level])
        own = by_level.get(iou)
        hint = ""
        if own is not None and by_level[best] > _MUCH * max(own, 0.0):
            hint = f"; --iou {best} would show smaller differences than {title(at('f1', iou))}"
        where = f"{block.segmenter} on {trained_and_tested(block.dataset, block.tested_on)}"
        more = f"{most.fraction} real images instead of {block.fraction}"
        yield f"{where}: the gain from {more}, over the half width of its interval: {ratios}{hint}."
