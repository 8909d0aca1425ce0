"""Studies that give seeds to arms until they are decided: what is decided, and which trainings come next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._formatting import number
from synthbench.statistics import ArmDecision, Decisions, decide_arms

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["decide_block", "decided_text", "decisions", "sequential_verdict"]


def decisions(results: Results) -> Iterator[tuple[ComparisonBlock, Decisions]]:
    """Yield the comparison blocks of a study that decides, and how far each is.

    Test images of other datasets decide nothing: their blocks are left out.

    Raises
    ------
    DataError
        As `synthbench.leaderboard.table` does.
    """
    for block in blocks(results):
        if block.tested_on == block.dataset:
            yield block, decide_block(block)


def decide_block(
    block: ComparisonBlock,
    baseline: str = "real",
    iou: float | str | None = None,
    aggregation: str = "pooled",
    metric: str = "",
    *,
    stop: bool = True,
) -> Decisions:
    """Take the looks that the trainings of a block allow.

    Parameters
    ----------
    block
        Of a study that decides.
    baseline, iou, aggregation
        See `synthbench.leaderboard.table`; by default the study's threshold, pooled.
    metric
        By default what studies are decided by: F-score, or mIoU* of classes.
    stop
        See `synthbench.statistics.decide_arms`.
    """
    done, failed = _progress(block)
    return decide_arms(
        block.images,
        [arm for arm in block.arms if arm != baseline],
        block.most_seeds,
        block.margin or np.nan,
        baseline,
        metric or ("miou_star" if block.task == "semantic" else "f1"),
        block.iou if iou is None else iou,
        aggregation,
        done=done,
        failed=failed,
        stop=stop,
        ended=block.is_joined,
    )


def _progress(block: ComparisonBlock) -> tuple[dict[str, int], frozenset[str]]:
    """Return the seeds 0, 1 … that each arm has in all folds and with all generator seeds, and which arms failed."""
    cells = ["fold", "generator_seed"]
    done, failed = {}, set()
    for arm, runs in block.runs.groupby("arm", sort=False):
        whole = len(runs[cells].drop_duplicates())
        per_seed = runs[runs["status"] == "ok"].groupby("seed").size()
        count = 0
        while per_seed.get(count, 0) == whole:
            count += 1
        done[str(arm)] = count
        if (runs["status"] == "failed").any():
            failed.add(str(arm))
    return done, frozenset(failed)


def sequential_verdict(arm: ArmDecision, margin: float) -> str:
    """Return better, worse, within ±margin, both, or undecided."""
    parts = [{1: "better", -1: "worse"}[arm.direction]] if arm.direction else []
    parts += [f"within ±{_margin(margin)}"] if arm.within else []
    return ", ".join(parts) or "undecided"


def decided_text(arm: ArmDecision, margin: float, *, joined: bool = False) -> str:
    """Return after how many seeds an arm was decided, or why it isn't, in one result or in several joined ones."""
    seeds = f"{arm.seeds} seeds"
    if arm.state == "decided":
        return f"decided after {seeds}"
    if arm.state == "exhausted":
        return f"undecided after {seeds}, the largest number"
    if arm.state == "failed":
        return f"a training failed; undecided after {seeds}"
    if arm.state == "open":
        return f"undecided after {seeds}" if joined else f"stopped by time; undecided after {seeds}"
    if np.isnan(arm.limit):
        return "too few test images for an interval"
    if arm.limit >= margin:
        return f"not decidable by seeds: test images alone leave ±{number(arm.limit)} (stopped after {seeds})"
    return f"unlikely to be decided; stopped after {seeds}"


def _margin(margin: float) -> str:
    return f"{margin:.6f}".rstrip("0").lstrip("0")
