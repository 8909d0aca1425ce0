"""The gain from more real images (headroom), and the share of it that an arm recovers.

More real images are the positive control of a study: where their gain isn't significant, no benefit of synthetic images
could be detected either. The share is a ratio of two uncertain differences. Its interval holds the shares θ for which
arm − θ · gain can't be distinguished from zero (Fieller 1954), with the draws of `compare` in place of a normal
distribution. Where the gain itself isn't significant that set is unbounded, and no share is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.statistics._amounts import compare_with_amounts
from synthbench.statistics.differences import DRAWS, LEVEL, Difference
from synthbench.types import AnyArray

__all__ = ["Headroom", "Share", "headroom", "sensitivity", "share"]


@dataclass(frozen=True)
class Share:
    """An arm's difference as a share of the gain from more real images: 1 is all of it, below 0 is a loss.

    NaN where that gain isn't significant; `low` and `high` also where the arm has no interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Headroom:
    """The gain from more real images.

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
    """Estimate the gain from more real images, and the share of it that each arm of a block recovers.

    The baseline at the larger amount is one more arm of the comparison, so that all differences come from the same
    resamples, paired by fold, seed and test image.

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
    more = f"{baseline}, more images"
    comparison = compare_with_amounts(images, {more: larger}, baseline, metric, iou, aggregation, draws, seed)
    if more not in comparison.draws:
        return None
    gain, gain_draws = comparison.differences[more], comparison.draws[more]
    shares = {
        arm: share(difference.value, comparison.draws[arm], gain.value, gain_draws)
        for arm, difference in comparison.differences.items()
        if arm != more and arm in comparison.draws
    }
    return Headroom(gain, shares)


def sensitivity(
    images: pd.DataFrame,
    larger: pd.DataFrame,
    scores: Iterable[tuple[str, float | str]],
    baseline: str = "real",
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[tuple[str, float | str], float]:
    """Return the gain from more real images over the half width of its 95 % interval, in each of several scores.

    The larger, the smaller the differences that this score can show, as a share of the gain; above 1 the gain is
    significant.

    Parameters
    ----------
    images, larger, baseline, aggregation, draws, seed
        See `headroom`.
    scores
        Metrics and IoU thresholds, see `synthbench.statistics.compare`.

    Returns
    -------
    dict
        Only scores with a gain that has an interval.
    """
    found: dict[tuple[str, float | str], float] = {}
    for metric, iou in scores:
        result = headroom(images, larger, baseline, metric, iou, aggregation, draws, seed)
        half = (result.gain.high - result.gain.low) / 2 if result else 0.0
        if result and half > 0:
            found[metric, iou] = result.gain.value / half
    return found


def share(numerator: float, numerator_draws: AnyArray, denominator: float, denominator_draws: AnyArray) -> Share:
    """Return a ratio and its 95 % interval; NaN where the denominator isn't significantly above zero.

    Parameters
    ----------
    numerator, denominator
        The two values.
    numerator_draws, denominator_draws
        ``(draws,)`` plausible values of each, from the same resamples.
    """
    tail = (1 - LEVEL) / 2
    if not np.quantile(denominator_draws, tail) > 0:
        return Share(np.nan, np.nan, np.nan)
    if np.isnan(numerator_draws).any():
        return Share(numerator / denominator, np.nan, np.nan)
    kept = denominator_draws != 0
    ratios = numerator_draws[kept] / denominator_draws[kept]
    order = np.argsort(ratios, kind="stable")
    ratios, steps = ratios[order], np.sign(denominator_draws[kept])[order]
    start = int((denominator_draws < 0).sum()) + int(((denominator_draws == 0) & (numerator_draws <= 0)).sum())
    reached = (start + np.cumsum(steps)) / len(denominator_draws)  # share with numerator ≤ ratio · denominator
    low = ratios[np.argmax(reached >= tail)]
    within = np.flatnonzero(reached <= 1 - tail)
    high = ratios[min(int(within[-1]) + 1, len(ratios) - 1)] if len(within) else ratios[0]
    return Share(numerator / denominator, float(low), float(high))
