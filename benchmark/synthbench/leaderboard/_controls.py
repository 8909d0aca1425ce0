"""What a block's controls say: whether an arm changed anything, and what more real images bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.statistics import headroom

__all__ = ["HEADROOM", "RECOVERED", "no_controls", "of_more_real_images", "unchanged"]

HEADROOM = ("headroom", "headroom_low", "headroom_high", "headroom_images", "headroom_seeds")
RECOVERED = ("recovered", "recovered_low", "recovered_high")
_SEEN = ("prediction", "tp", "fp", "fn", "dice", "iou_sum", "cldice")
_TRAINING = ["fold", "generator_seed", "seed"]


def unchanged(block: ComparisonBlock, baseline: str) -> dict[str, int]:
    """Return by arm how many of its trainings predict just what the baseline's of the same fold and seed do.

    Compared are the stored hashes of the predicted label maps and all counts, of every test image at every threshold.
    """
    images = block.images
    if not block.has_scores(baseline):
        return {}
    seen = [name for name in ("image", "iou", "class", *_SEEN) if name in images]
    hashes = pd.util.hash_pandas_object(images[seen], index=False)
    runs = hashes.groupby([images["arm"], *(images[name] for name in _TRAINING)], dropna=False).agg(["sum", "size"])
    own: dict[tuple[Any, Any], tuple[Any, ...]] = {}
    for (arm, fold, _, seed), row in zip(runs.index, runs.itertuples(index=False, name=None), strict=True):
        if arm == baseline:
            own.setdefault((fold, seed), row)
    counts: dict[str, int] = {}
    for (arm, fold, _, seed), row in zip(runs.index, runs.itertuples(index=False, name=None), strict=True):
        if arm != baseline:
            counts[arm] = counts.get(arm, 0) + (own.get((fold, seed)) == row)
    return counts


def of_more_real_images(
    block: ComparisonBlock,
    others: Sequence[ComparisonBlock],
    metric: str,
    iou: float | str,
    aggregation: str,
    baseline: str,
    draws: int,
) -> dict[str, dict[str, float]]:
    """Return by arm, the baseline included, the columns `HEADROOM`, and `RECOVERED` where the gain can be told.

    Parameters
    ----------
    others
        Blocks of the same study; those of another dataset or segmenter are ignored. The one with the most real images
        is compared with; at that amount itself, and where its baseline has no scores, nothing is returned.
    """
    most = max(block.at_all_amounts(others), key=lambda each: each.fraction)
    if most.fraction <= block.fraction or not (block.has_scores(baseline) and most.has_scores(baseline)):
        return {}
    found = headroom(block.images, most.images, baseline, metric, iou, aggregation, draws)
    if found is None:
        return {}
    gain = found.gain
    numbers = (gain.value, gain.low, gain.high, float(most.fraction), float(gain.seeds))
    out: dict[str, dict[str, float]] = {arm: dict(zip(HEADROOM, numbers, strict=True)) for arm in block.arms}
    if gain.seeds == 1 and block.runs["fold"].nunique() == 1:  # without training again nothing is decided
        return out
    for arm, part in found.shares.items():
        out[arm] |= dict(zip(RECOVERED, (part.value, part.low, part.high), strict=True))
    return out


def no_controls() -> Mapping[str, Any]:
    """Return the columns of more real images, empty."""
    return dict.fromkeys((*HEADROOM, *RECOVERED), np.nan)
