"""Scores of a training that was taken again, beside those of the bundle and the noise between its seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from synthbench.errors import DataError
from synthbench.leaderboard.optional_columns import at
from synthbench.results import Results
from synthbench.statistics import run_scores

__all__ = ["LEVEL", "Compared", "compare_scores", "noise_limit"]

LEVEL = 0.99
"""Probability with which two trainings that differ in their seed alone differ by no more than the limit."""

_BLOCK = ("dataset", "tested_on", "fraction", "segmenter")
_ONE = (*_BLOCK, "fold", "arm", "generator_seed", "seed")


@dataclass(frozen=True)
class Compared:
    """Two scores of one training.

    Attributes
    ----------
    metric : str
        ``f1@0.50``, or ``miou_star``.
    bundle, here : float
        0 … 1.
    identical : bool
        Whether all predictions, counts and numbers of each image are equal.
    limit : float or None
        By how much they may differ where trainings aren't repeated exactly; None where the bundle has no two seeds of
        one arm.
    """

    metric: str
    bundle: float
    here: float
    identical: bool
    limit: float | None

    @property
    def within(self) -> bool:
        """Whether the difference isn't larger than the limit."""
        return self.limit is not None and abs(self.here - self.bundle) <= self.limit


def compare_scores(bundle: Results, row: Mapping[str, Any], again: Results, iou: float | str) -> Compared:
    """Compare the scores of a training with those of the bundle.

    Parameters
    ----------
    bundle
        Tables of the bundle.
    row
        Which training it is.
    again
        Tables of a run of this training alone.
    iou
        The threshold of F-scores, or ``"mean"``.

    Raises
    ------
    DataError
        If the bundle has no scores of it.
    """
    block = bundle.images
    for name in _BLOCK:
        block = block[block[name] == row[name]]
    same = block
    for name in ("fold", "arm", "generator_seed", "seed"):
        same = same[same[name].isna() if row[name] is None else same[name] == row[name]]
    if same.empty:
        raise DataError(f"results/images.csv: has no scores of {row['segmenter']} on {row['arm']}, seed {row['seed']}")
    semantic = "iou" not in same or same["iou"].isna().all()
    metric = "miou_star" if semantic else "f1"
    if semantic:
        block, same = block.drop(columns="iou", errors="ignore"), same.drop(columns="iou", errors="ignore")
    before, now = (float(run_scores(images, metric, iou)["score"].iloc[0]) for images in (same, again.images))
    others = block.drop(index=same.index)  # what is compared says nothing about the noise that it is measured by
    limit = noise_limit(run_scores(others, metric, iou)) if len(others) else None
    return Compared(metric if semantic else at(metric, iou), before, now, _identical(same, again.images), limit)


def noise_limit(scores: pd.DataFrame) -> float | None:
    """Return by how much two trainings of one arm differ at most, by the spread between the seeds of all arms.

    Parameters
    ----------
    scores
        ``arm``, ``fold`` and ``score`` of each training of one segmenter on one dataset.

    Returns
    -------
    float or None
        Student's quantile at `LEVEL`, two-sided, times √2 times the standard deviation of a training, pooled over arms
        and folds; None without two trainings of one arm.
    """
    groups = [group["score"].to_numpy(float) for _, group in scores.groupby(["arm", "fold"])]
    freedom = sum(len(values) - 1 for values in groups)
    if freedom == 0:
        return None
    variance = sum(float(((values - values.mean()) ** 2).sum()) for values in groups) / freedom
    return float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(2 * variance)


def _identical(before: pd.DataFrame, now: pd.DataFrame) -> bool:
    names = [name for name in ("prediction", "tp", "fp", "fn", "iou_sum") if name in before and name in now]
    index = ["image", "iou" if "iou" in before else "class"]
    left, right = (table.set_index(index)[names].sort_index() for table in (before, now))
    if not left.index.equals(right.index):
        return False
    if not (left["prediction"].astype(str) == right["prediction"].astype(str)).all():
        return False
    numbers = [name for name in names if name != "prediction"]
    return bool(((left[numbers].astype(float) - right[numbers].astype(float)).abs() <= 1e-9).all().all())
