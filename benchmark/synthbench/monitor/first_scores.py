"""What a run has found so far: mean scores of the trainings that are finished."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from synthbench.errors import SynthbenchError
from synthbench.leaderboard.optional_columns import at
from synthbench.results import image_rows
from synthbench.statistics import run_scores
from synthbench.store import Store

__all__ = ["FirstScore", "first_scores", "training_score"]

_GROUP = ("dataset", "tested_on", "fraction", "segmenter", "arm")


@dataclass(frozen=True)
class FirstScore:
    """The mean score of one arm so far; as long as trainings are missing, arms may have different seeds.

    Attributes
    ----------
    dataset, tested_on : str
    fraction : int
        Real training images.
    segmenter, arm : str
    metric : str
        ``f1@0.5``, or ``miou_star``.
    score : float
        0 … 1.
    finished, planned : int
        Trainings.
    """

    dataset: str
    tested_on: str
    fraction: int
    segmenter: str
    arm: str
    metric: str
    score: float
    finished: int
    planned: int


def first_scores(trainings: Sequence[Mapping[str, Any]], store: Store, iou: float | str) -> list[FirstScore]:
    """Return the mean scores of the arms of which a training is finished, in the order of the plan.

    Parameters
    ----------
    trainings
        What says which training it is (`synthbench.results.run_head`), with ``evaluate``, the key of its scores.
    store
    iou
        The threshold of F-scores, or ``"mean"``.
    """
    planned: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for training in trainings:
        planned.setdefault(tuple(training[name] for name in _GROUP), []).append(training)
    found = []
    for (dataset, tested_on, fraction, segmenter, arm), group in planned.items():
        by_fold: dict[Any, list[float]] = {}
        metric = ""
        for training in group:
            if (score := training_score(store, str(training["evaluate"]), iou)) is not None:
                metric = score[0]
                by_fold.setdefault(training["fold"], []).append(score[1])
        if by_fold:
            mean = fmean(fmean(values) for values in by_fold.values())
            finished = sum(map(len, by_fold.values()))
            found.append(
                FirstScore(dataset, tested_on, int(fraction), segmenter, arm, metric, mean, finished, len(group))
            )
    return found


def training_score(store: Store, key: str, iou: float | str) -> tuple[str, float] | None:
    """Return the name and the value of a training's score, 0 … 1; None where it isn't there, or is damaged.

    Parameters
    ----------
    store
    key
        That of the task ``evaluate``.
    iou
        The threshold of F-scores, or ``"mean"``.
    """
    artifact = store.find("evaluate", key)
    return (
        None if artifact is None else _score_of(artifact.folder / "scores.json", str(artifact.record["seconds"]), iou)
    )


@lru_cache(maxsize=4096)
def _score_of(path: Path, _digest: str, iou: float | str) -> tuple[str, float] | None:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        head = {"arm": "", "fold": 0, "generator_seed": None, "seed": 0}
        images = pd.DataFrame([{**head, **row} for row in image_rows(scores)])
        metric = "miou_star" if scores["task"] == "semantic" else "f1"
        value = float(run_scores(images, metric, iou)["score"].iloc[0])
    except (OSError, ValueError, KeyError, TypeError, SynthbenchError):
        return None
    return (metric if metric == "miou_star" else at("f1", iou)), value
