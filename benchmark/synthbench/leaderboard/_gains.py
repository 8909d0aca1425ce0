"""Gains over real images alone, compared with those of duplicates and of more real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard.decisions import decide_block
from synthbench.statistics import Difference, compare, equivalent_real_images, holm

__all__ = ["AGAINST_DUPLICATE", "DUPLICATES", "EQUIVALENT_IMAGES", "against_duplicate", "in_real_images", "no_gains"]

_BESIDE = "real + "
DUPLICATES = "duplicate"
"""The control that returns real images."""

AGAINST_DUPLICATE = ("delta_vs_duplicate", "delta_vs_duplicate_low", "delta_vs_duplicate_high", "p_vs_duplicate")
EQUIVALENT_IMAGES = (
    "equivalent_real_images",
    "equivalent_real_images_low",
    "equivalent_real_images_high",
    "equivalent_real_images_least",
    "equivalent_real_images_most",
)


def against_duplicate(
    block: ComparisonBlock, metric: str, iou: float | str, aggregation: str, draws: int
) -> dict[str, dict[str, float]]:
    """Compare each arm with the arm of as many duplicates of real images as this one has synthetic ones.

    Returns
    -------
    dict
        By arm, the columns `AGAINST_DUPLICATE`; arms without such a counterpart are left out. The p-values are
        corrected (Holm) for the number of arms compared.
    """
    if block.images.empty:
        return {}
    known = {
        str(run["arm"]): (run["generator"], (run["synthetic"], str(run["arm"]).startswith(_BESIDE), _way(run)))
        for _, run in block.runs.drop_duplicates("arm").iterrows()
    }
    differences: dict[str, Difference] = {}
    for control, (generator, mix) in known.items():
        if generator != DUPLICATES:
            continue
        counterparts = [arm for arm, (other, of) in known.items() if other not in ("", DUPLICATES) and of == mix]
        if counterparts and block.has_scores(control):
            every = compare(block.images, control, metric, iou, aggregation, draws).differences
            if block.margin is not None:
                every = _at_every_look(block, every, control, iou, aggregation, metric)
            differences |= {arm: every[arm] for arm in counterparts if arm in every}
    corrected = holm([d.p for d in differences.values()])
    return {
        arm: dict(zip(AGAINST_DUPLICATE, (d.value, *d.interval, float(p)), strict=True))
        for (arm, d), p in zip(differences.items(), corrected, strict=True)
    }


def _way(run: pd.Series) -> tuple[str, str]:
    """Return how synthetic samples take part in a training: fraction of the patches, and schedule."""
    return str(run.get("synthetic_ratio", "")), str(run.get("schedule", ""))


def _at_every_look(
    block: ComparisonBlock, every: dict[str, Difference], control: str, iou: float | str, aggregation: str, metric: str
) -> dict[str, Difference]:
    """Return the differences with intervals and p-values that hold whenever an arm was stopped."""
    found = decide_block(block, control, iou, aggregation, metric, stop=False).arms
    return {
        arm: replace(difference, low=found[arm].low, high=found[arm].high, p=found[arm].p_single)
        for arm, difference in every.items()
    }


def in_real_images(
    block: ComparisonBlock,
    others: Sequence[ComparisonBlock],
    metric: str,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
) -> dict[str, dict[str, float]]:
    """Read each arm's gain off the learning curve of real images, where the study has several amounts of them.

    Parameters
    ----------
    others
        Blocks of the same study; those of another dataset or segmenter are ignored.

    Returns
    -------
    dict
        By arm, the columns `EQUIVALENT_IMAGES`. Empty where the baseline has no scores at this amount or at no other.
    """
    curve = {each.fraction: each.images for each in block.at_all_amounts(others) if len(each.images)}
    if not block.has_scores(baseline) or len(curve) < 2:
        return {}
    equivalents = equivalent_real_images(block.images, curve, block.fraction, baseline, metric, iou, aggregation, draws)
    return {
        arm: {
            name: getattr(equivalent, name.removeprefix("equivalent_real_images_"), equivalent.value)
            for name in EQUIVALENT_IMAGES
        }
        for arm, equivalent in equivalents.items()
    }


def no_gains() -> Mapping[str, Any]:
    """Return the columns `AGAINST_DUPLICATE` and `EQUIVALENT_IMAGES`, empty."""
    return dict.fromkeys((*AGAINST_DUPLICATE, *EQUIVALENT_IMAGES), np.nan)
