"""What a study knows of whether its segmenters are trained far enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthbench.leaderboard._formatting import number
from synthbench.results import FLAT, is_flat

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["CONVERGED", "NOT_CONVERGED", "convergence", "convergence_columns", "convergence_notes", "scores_by_steps"]

CONVERGED = "converged"
NOT_CONVERGED = "not converged"
_COLUMN = "convergence"


def scores_by_steps(results: Results, segmenter: str, dataset: str) -> dict[int, float]:
    """Return the scores on validation images of a segmenter by its steps, in rising order; empty where unknown.

    Parameters
    ----------
    results
    segmenter
        As in tables: with what it starts from, where that isn't scratch.
    dataset
    """
    for choice in results.study.segmenters:
        budget = choice.budget
        if budget is None or budget.score_by_steps is None:
            continue
        scores = budget.score_by_steps.get(dataset, {})
        is_of_budget = budget.steps is None or budget.steps in scores
        named = segmenter == choice.title or segmenter.startswith(f"{choice.title} from ")
        if named and is_of_budget and len(scores) > 1:
            return dict(sorted(scores.items()))
    return {}


def convergence(scores: dict[int, float]) -> str:
    """Return `CONVERGED` or `NOT_CONVERGED` by the last two of `scores_by_steps`; an empty string where unknown."""
    if not scores:
        return ""
    before, after = list(scores)[-2:]
    return CONVERGED if is_flat(scores[before], scores[after]) else NOT_CONVERGED


def convergence_columns(results: Results, segmenter: str, dataset: str) -> dict[str, str]:
    """Return the column that says whether a segmenter is trained far enough; none in a study that doesn't ask."""
    if all(choice.budget is None or choice.budget.score_by_steps is None for choice in results.study.segmenters):
        return {}
    return {_COLUMN: convergence(scores_by_steps(results, segmenter, dataset))}


def convergence_notes(results: Results) -> Iterator[str]:
    """Yield a sentence for each segmenter and dataset with scores by steps."""
    for choice in results.study.segmenters:
        budget = choice.budget
        if budget is None or budget.score_by_steps is None:
            continue
        for dataset in budget.score_by_steps:
            scores = scores_by_steps(results, choice.title, dataset)
            if not scores:
                continue
            path = ", ".join(f"{number(score)} after {steps:,} steps" for steps, score in scores.items())
            found = f"{choice.title} on {dataset}, real images alone, scores on validation images: {path}"
            last = max(scores)
            if convergence(scores) == NOT_CONVERGED:
                yield f"{found}. Not converged: twice the steps still brought {number(FLAT, 2)} or more."
            elif budget.steps not in (None, last):
                yield f"{found}. More steps bring less than {number(FLAT, 2)}, so it is trained for {budget.steps:,}."
            else:
                yield f"{found}. Converged: the second half of the steps brought less than {number(FLAT, 2)}."
