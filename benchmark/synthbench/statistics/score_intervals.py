"""A score by itself, with its interval: its difference from a segmenter that finds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from synthbench.statistics.differences import DRAWS, Difference, compare
from synthbench.statistics.image_counts import ZERO_IF_NOTHING_FOUND, check_columns, seed_text

_OWN, _NOTHING = "own", "nothing"


def score_interval(
    images: pd.DataFrame,
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Return a mean score over trainings, with the interval that `compare` gives differences.

    It covers other images of the same kind, training the segmenter again and, where they were varied, the generator.

    Parameters
    ----------
    images
        Rows of one arm, or of no arm: ``fold``, ``generator_seed``, ``seed``, ``image``, and counts. Images of
        different folds and generator seeds are different images, whatever they are called.
    metric
        One of `synthbench.statistics.METRICS` that is 0 where nothing is found right: not ``dice`` of instances,
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
    place = kept["fold"].astype(str) + "/" + seed_text(kept["generator_seed"]) + "/" + kept["image"].astype(str)
    own = kept.assign(arm=_OWN, image=place)
    none = {name: 0 for name in ZERO_IF_NOTHING_FOUND if name in own}
    nothing = own.assign(arm=_NOTHING, **none, fn=own["tp"] + own["fn"])
    both = pd.concat([own, nothing], ignore_index=True)
    found = compare(both, _NOTHING, metric, iou, aggregation, draws, seed).differences[_OWN]
    low, high = np.clip([found.low, found.high], 0.0, 1.0)
    return replace(found, low=float(low), high=float(high))
