"""What a study knows of whether its segmenters are trained far enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthbench.leaderboard._formatting import number
from synthbench.results import FLAT, is_flat

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["convergence_notes"]


def convergence_notes(results: Results) -> Iterator[str]:
    """Yield a sentence for each segmenter and dataset whose number of steps was chosen by its scores."""
    for choice in results.study.segmenters:
        budget = choice.budget
        if budget is None or budget.score_by_steps is None:
            continue
        for dataset, scores in budget.score_by_steps.items():
            steps = sorted(scores)
            path = ", ".join(f"{number(scores[n])} after {n:,} steps" for n in steps)
            where = f"{choice.title} on {dataset}, real images alone, scores on validation images: {path}"
            if len(steps) > 1 and is_flat(scores[steps[-2]], scores[steps[-1]]):
                yield f"{where}. More steps bring less than {number(FLAT, 2)}, so it is trained for {budget.steps}."
            else:
                yield f"{where}. Not converged: it wasn't flat at the largest number that was tried."
