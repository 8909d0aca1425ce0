"""Which test images an arm changes most: the largest differences in score from real images alone, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.board.entries import Entry
from synthbench.bundle.contents import TRAINING, training_of
from synthbench.leaderboard.parts import COPYING
from synthbench.results import with_tested_on

__all__ = ["ArmExamples", "Example", "arm_examples", "image_scores"]

EACH_WAY = 2
"""Images of an arm that gained most, and that lost most."""
MOST_ARMS = 6
"""Arms whose images are shown."""
_PLACE = ["dataset", "tested_on", "fold", "fraction", "segmenter", "seed"]
_ARM = ["dataset", "tested_on", "fraction", "segmenter", "arm", "generator"]
_LEAST = 0.005


@dataclass(frozen=True)
class Example:
    """A test image, and the two trainings whose predictions of it are shown.

    Attributes
    ----------
    image : str
    difference : float
        In score from real images alone, mean over trainings.
    trainings : int
        Pairs behind it.
    real, arm : float
        Scores of the image in the two trainings: of the pairs whose difference has the sign of the mean, the one that
        is nearest to it.
    own, baseline : mapping
        Rows of `synthbench.bundle.contents.Contents.trainings`.
    baseline_entry : Entry
        That has the training on real images alone.
    """

    image: str
    difference: float
    trainings: int
    real: float
    arm: float
    own: Mapping[str, Any]
    baseline: Mapping[str, Any]
    baseline_entry: Entry


@dataclass(frozen=True)
class ArmExamples:
    """The images that an arm changes most, gains first."""

    entry: Entry
    arm: str
    generator: str
    dataset: str
    tested_on: str
    fraction: int
    segmenter: str
    examples: tuple[Example, ...]


def image_scores(images: pd.DataFrame, iou: float | str) -> pd.DataFrame:
    """Return the F-score of each test image in each training.

    Parameters
    ----------
    images
        Table of `synthbench.results.Results`.
    iou
        The threshold at which objects count as found, or ``"mean"``; of semantic results the mean over classes is
        taken, without the background.

    Returns
    -------
    DataFrame
        A row for each training and image with the column ``score``, 0 … 1; none where neither mask nor prediction
        has an object.
    """
    images = with_tested_on(images)
    semantic = "iou" not in images or images["iou"].isna().all()
    if semantic:
        rows = images[images["class"] > 0]
    else:
        rows = images if iou == "mean" else images[images["iou"].round(2) == round(float(iou), 2)]
    found = 2.0 * rows["tp"].to_numpy(float)
    possible = found + rows["fp"].to_numpy(float) + rows["fn"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        scored = rows.assign(score=found / possible)
    keys = [*_PLACE, "arm", "generator", "synthetic", "generator_seed", "image"]
    means = scored.groupby(keys, dropna=False, sort=False)["score"].mean().reset_index()
    return means[means["score"].notna()]


def arm_examples(entries: Sequence[Entry], iou: float | str) -> list[ArmExamples]:
    """Return the images that arms change most, of entries that can be paired.

    Generators come before controls, test images of the dataset itself before others, few real images before many.
    """
    scores = {entry.name: image_scores(entry.contents.results.images, iou) for entry in entries}
    rows = {entry.name: {training_of(row): row for row in entry.contents.trainings} for entry in entries}
    baselines = _baselines(entries, scores)
    seen: set[str] = set()
    found = []
    for entry in entries:
        own = scores[entry.name]
        paired = own[own["generator"] != ""].merge(baselines, on=[*_PLACE, "image"], suffixes=("", "_real"))
        for key, part in paired.groupby(_ARM, sort=False):
            trainings = part.drop_duplicates(list(TRAINING))
            keys = {str(rows[entry.name][training_of(row)]["evaluate"]) for _, row in trainings.iterrows()}
            if not keys <= seen:  # else another entry has the same trainings
                found.append(_examples(entry, entries, rows, dict(zip(_ARM, key, strict=True)), part))
            seen |= keys
    shown = [each for each in found if each.examples]
    return sorted(shown, key=_order)[:MOST_ARMS]


def _order(each: ArmExamples) -> tuple[bool, bool, int]:
    return each.tested_on != each.dataset, each.generator in COPYING, each.fraction


def _baselines(entries: Sequence[Entry], scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for number, entry in enumerate(entries):
        own = scores[entry.name]
        own = own[own["generator"] == ""]
        parts.append(own[[*_PLACE, "image", "score", "arm", "synthetic", "generator_seed"]].assign(entry=number))
    return pd.concat(parts, ignore_index=True).drop_duplicates([*_PLACE, "image"])


def _examples(
    entry: Entry,
    entries: Sequence[Entry],
    rows: Mapping[str, Mapping[Any, Mapping[str, Any]]],
    about: Mapping[str, Any],
    pairs: pd.DataFrame,
) -> ArmExamples:
    pairs = pairs.assign(difference=pairs["score"] - pairs["score_real"])
    by_image = pairs.groupby("image")["difference"].agg(["mean", "size"]).sort_index()
    ordered = by_image.sort_values("mean", kind="stable")
    worst = ordered[ordered["mean"] <= -_LEAST].head(EACH_WAY)
    best = ordered[ordered["mean"] >= _LEAST].tail(EACH_WAY)[::-1]
    examples = []
    for image, row in pd.concat([best, worst]).iterrows():
        of_image = pairs[(pairs["image"] == image) & (np.sign(pairs["difference"]) == np.sign(row["mean"]))]
        nearest = of_image.iloc[int((of_image["difference"] - row["mean"]).abs().to_numpy().argmin())]
        base = entries[int(nearest["entry"])]
        real = {name: nearest[name] for name in TRAINING} | {"generator": ""}
        real |= {name: nearest[f"{name}_real"] for name in ("arm", "synthetic", "generator_seed")}
        examples.append(
            Example(
                str(image),
                float(row["mean"]),
                int(row["size"]),
                float(nearest["score_real"]),
                float(nearest["score"]),
                rows[entry.name][training_of(nearest)],
                rows[base.name][training_of(real)],
                base,
            )
        )
    return ArmExamples(entry, **about, examples=tuple(examples))
