"""What more real images bring, and what share of that an arm recovers.

More real images are the positive control of a study: where they bring nothing that can be told, nothing synthetic could
be seen to help either. The share is a ratio of two differences that are both uncertain. Its interval holds the shares θ
for which arm − θ · gain can't be told from zero (Fieller 1954), with the draws of `compare` in place of a normal
distribution. Where the gain itself can't be told from zero that set has no ends, and no share is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.statistics.differences import DRAWS, LEVEL, Difference, compare
from synthbench.statistics.image_counts import check_columns


@dataclass(frozen=True)
class Share:
    """An arm's difference as a share of what more real images bring: 1 is all of it, below 0 is a loss.

    NaN where that gain can't be told from zero; the ends also where nothing is known of the arm's interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Headroom:
    """What more real images bring a segmenter.

    Attributes
    ----------
    gain : Difference
        Score of the baseline on more real images minus its score on this amount.
    shares : dict of str to Share
        By arm.
    """

    gain: Difference
    shares: dict[str, Share]


def headroom(
    images: pd.DataFrame,
    larger: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Headroom | None:
    """Compare the baseline on more real images with that of a block, and each arm of the block with both.

    The baseline of the larger amount is one more arm of the comparison, so that all come from the same resamples,
    paired by fold, seed and test image.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.
    larger
        Rows of the same dataset and segmenter with more real images; arms other than the baseline are ignored.
    baseline, metric, iou, aggregation, draws, seed
        See `synthbench.statistics.compare`.

    Returns
    -------
    Headroom or None
        None where no training of the two amounts can be paired.

    Raises
    ------
    ConfigError
        If the baseline isn't among the arms of `images`.
    """
    for rows in (images, larger):
        check_columns(rows, ["arm"])
    if baseline not in set(images["arm"]):
        raise ConfigError(f"baseline {baseline!r} is not among the arms{suggest(baseline, set(images['arm']))}")
    more = f"{baseline}, more images"
    same = {name: images[name].iloc[0] for name in ("fraction",) if name in images}
    control = larger[larger["arm"] == baseline].assign(arm=more, **same)
    both = pd.concat([images, control], ignore_index=True)
    found = compare(both, baseline, metric, iou, aggregation, draws, seed, unpooled=[more])
    if more not in found.draws:
        return None
    gain, drawn = found.differences[more], found.draws[more]
    shares = {
        arm: share(own.value, found.draws[arm], gain.value, drawn)
        for arm, own in found.differences.items()
        if arm != more and arm in found.draws
    }
    return Headroom(gain, shares)


def share(above: float, above_draws: np.ndarray, below: float, below_draws: np.ndarray) -> Share:
    """Return a ratio and its 95 % interval; NaN where the lower side can't be told from zero, or isn't known.

    Parameters
    ----------
    above, below
        The two values.
    above_draws, below_draws
        ``(draws,)`` plausible values of each, from the same resamples.
    """
    tail = (1 - LEVEL) / 2
    if not np.quantile(below_draws, tail) > 0:
        return Share(np.nan, np.nan, np.nan)
    if np.isnan(above_draws).any():
        return Share(above / below, np.nan, np.nan)
    kept = below_draws != 0
    ratios = above_draws[kept] / below_draws[kept]
    order = np.argsort(ratios, kind="stable")
    ratios, steps = ratios[order], np.sign(below_draws[kept])[order]
    start = int((below_draws < 0).sum()) + int(((below_draws == 0) & (above_draws <= 0)).sum())
    reached = (start + np.cumsum(steps)) / len(below_draws)  # of the draws, those with above ≤ ratio · below
    low = ratios[np.argmax(reached >= tail)]
    within = np.flatnonzero(reached <= 1 - tail)
    high = ratios[min(int(within[-1]) + 1, len(ratios) - 1)] if len(within) else ratios[0]
    return Share(above / below, float(low), float(high))
