"""The interval of a single score: that of its difference from a segmenter that finds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from synthbench.statistics._frames import check_columns
from synthbench.statistics.differences import DRAWS, Difference, compare
from synthbench.statistics.image_counts import ZERO_IF_NOTHING_FOUND, seed_text

__all__ = ["score_interval"]

_OWN, _NOTHING = "own", "nothing"


def score_interval(
    images: pd.DataFrame,
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Return a mean score over trainings, with an interval like that of differences from `compare`.

    It covers other images of the same kind, other seeds of the segmenter and, where they were varied, of the generator.

    Parameters
    ----------
    images
        Rows of one arm, or of no arm: ``fold``, ``generator_seed``, ``seed``, ``image``, and counts. Images of
        different folds and generator seeds are different images, even with the same name.
    metric
        One of `synthbench.statistics.METRICS` that is 0 for a segmenter that finds nothing: not ``dice`` of instances,
        and not ``cldice``.
    iou, aggregation, draws, seed
        See `synthbench.statistics.compare`.

    Returns
    -------
    Difference
        The interval lies within 0 … 1.
    """
    check_columns(images, ["fold", "generator_seed", "seed", "image", "tp", "fn"])
    kept = images.drop(columns=[name for name in images if str(name).startswith("group:")])
    unique_name = kept["fold"].astype(str) + "/" + seed_text(kept["generator_seed"]) + "/" + kept["image"].astype(str)
    own = kept.assign(arm=_OWN, image=unique_name)
    none = {name: 0 for name in ZERO_IF_NOTHING_FOUND if name in own}
    nothing = own.assign(arm=_NOTHING, **none, fn=own["tp"] + own["fn"])
    both = pd.concat([own, nothing], ignore_index=True)
    difference = compare(both, _NOTHING, metric, iou, aggregation, draws, seed).differences[_OWN]
    low, high = np.clip([difference.low, difference.high], 0.0, 1.0)
    return replace(difference, low=float(low), high=float(high))
