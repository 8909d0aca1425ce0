"""Differences between arms, paired by seed and test image, with intervals; and the ranks that they allow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, DataError, suggest
from synthbench.statistics._resampling import possible_pairs, resample_block
from synthbench.statistics._standard_errors import draw_errors, standard_errors, trained_once
from synthbench.types import AnyArray

__all__ = [
    "DRAWS",
    "LEVEL",
    "TAG_BASELINE",
    "Comparison",
    "Difference",
    "compare",
    "holm",
    "interval_and_p",
    "paired_difference",
    "ranks",
]

LEVEL = 0.95
DRAWS = 10_000
TAG_BASELINE = 73
"""Part of the seed of the noise of the baseline's trainings, which all arms share."""


@dataclass(frozen=True)
class Difference:
    """Score of an arm minus score of the baseline.

    Attributes
    ----------
    value : float
        Mean over the pairs of runs, each fold counting equally; −1 … 1. NaN without a pair.
    low, high : float
        The 95 % interval. NaN with fewer than two test images, or groups of them.
    p : float
        Two-sided p-value of no difference, not corrected for several arms (see `holm`). NaN where training wasn't
        repeated: there is no test then.
    seeds, folds : int
        Distinct segmenter seeds and folds among the pairs.
    images, units : int
        Test images, and resampled units: groups of images that belong together, and images without a group.
    pairs, possible : int
        Pairs of runs, and pairs if no task had failed (as far as these rows show).
    image_error, training_error : float
        The two parts of the standard error: over test images, and over trainings (with folds, on other images).
    assumed_error : float
        The part of `training_error` that is assumed because training wasn't repeated (`synthbench.statistics.PRIOR`).
    dof : float
        Degrees of freedom behind `training_error`; with folds, behind the whole error.
    own_variance : bool
        Whether the arm's trainings vary more than those of the other arms, so that only their own variance is used.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    folds: int
    images: int
    units: int
    pairs: int
    possible: int
    image_error: float = 0.0
    training_error: float = 0.0
    assumed_error: float = 0.0
    dof: float = 0.0
    own_variance: bool = False

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval as far as a difference of scores can lie: within −1 … 1."""
        return float(np.clip(self.low, -1, 1)), float(np.clip(self.high, -1, 1))

    @property
    def single_training(self) -> bool:
        """Whether the segmenter was trained with one seed in one fold: then nothing can be decided."""
        return self.seeds == 1 and self.folds == 1

    @property
    def coverage(self) -> float:
        """Fraction of the possible pairs that were run, 0 … 1."""
        return self.pairs / self.possible if self.possible else 0.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """All arms of a block against one baseline, from the same resamples.

    Attributes
    ----------
    baseline : str
    differences : dict of str to Difference
        The baseline itself is not among them.
    draws : dict of str to ndarray
        ``(draws,)`` plausible differences of each arm that has pairs; zero for the baseline, NaN where they can't be
        estimated.
    """

    baseline: str
    differences: dict[str, Difference]
    draws: dict[str, AnyArray]

    def ranks(self) -> pd.DataFrame:
        """Return ``arm``, ``rank``, ``low``, ``high``, best first.

        `rank` is 1 + the number of arms with a higher value; ties share the better rank. `low` is 1 + the number of
        significantly better arms, `high` the number of arms minus that of the significantly worse ones: those whose
        paired 95 % interval excludes zero. Arms that can't be distinguished thus have overlapping ranges; an arm with
        a single training can't be distinguished from any. Each comparison is at 95 % by itself, not all at once.
        """
        arms = list(self.draws)
        unsure = {arm for arm, difference in self.differences.items() if difference.single_training}
        values = {a: 0.0 if a == self.baseline else self.differences[a].value for a in arms}
        rows = []
        for arm in arms:
            others = [] if arm in unsure else [o for o in arms if o != arm and o not in unsure]
            better = sum(_significantly_above(self.draws[o], self.draws[arm]) for o in others)
            worse = sum(_significantly_above(self.draws[arm], self.draws[o]) for o in others)
            higher = sum(values[o] > values[arm] + 1e-12 for o in arms)
            rows.append((arm, 1 + higher, min(1 + better, 1 + higher), max(len(arms) - worse, 1 + higher)))
        table = pd.DataFrame(rows, columns=["arm", "rank", "low", "high"])
        return table.sort_values("rank", kind="stable").reset_index(drop=True)


def paired_difference(
    images: pd.DataFrame,
    arm: str,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Compare one arm with the baseline; one of the results of `compare`.

    Raises
    ------
    DataError
        If the arm is not among the rows.
    """
    differences = compare(images, baseline, metric, iou, aggregation, draws, seed).differences
    if arm not in differences:
        raise DataError(f"arm {arm!r} has no scores to compare with {baseline!r}{suggest(arm, differences)}")
    return differences[arm]


def ranks(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the arms of one block; see `Comparison.ranks`."""
    return compare(images, baseline, metric, iou, aggregation, draws, seed).ranks()


def compare(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
    *,
    unpooled: Collection[str] = (),
) -> Comparison:
    """Compare every arm of one block with the baseline.

    Runs are paired by fold, generator seed (where the baseline has one) and segmenter seed, and both runs of a pair are
    scored on the test images they share. Each draw resamples the test images with replacement (within folds, where
    every image belongs to one), images of one `unit` together, recomputes both scores from the resampled counts, and
    adds an error of repeated training. With few seeds, folds or images, the tails are those of Student's t
    (`synthbench.statistics.variance_components`, `synthbench.statistics.pooled_variance`).

    The interval covers other test images of the same kind, other seeds of the segmenter and, where they were varied,
    of the generator. It doesn't cover another dataset, nor other training images, unless there are folds. With one
    seed, the variance of training is assumed. Without a column ``unit`` test images are treated as independent: where
    they come from few wells, videos or patients, the interval is too narrow.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter, of the form that `synthbench.load_results` gives. Images that share
        a value of the column ``unit``, if there is one, belong together.
    baseline
        The arm to compare with.
    metric, iou, aggregation
        See `synthbench.statistics.image_counts.image_counts`.
    draws
        Resamples, 2 or more.
    seed
        Seed of the resamples; the draws of an arm don't depend on the order of the arms.
    unpooled
        Arms whose trainings aren't assumed to vary like those of the others.

    Raises
    ------
    ConfigError
        If the metric, the threshold or the baseline isn't available, or `draws` isn't an integer ≥ 2.
    DataError
        If the rows are damaged; see `synthbench.statistics.image_counts.image_counts`.
    """
    if isinstance(draws, bool) or not isinstance(draws, Integral) or draws < 2:
        raise ConfigError(f"draws: {draws!r}; expected an integer ≥ 2")
    block = resample_block(images, baseline, metric, iou, aggregation, int(draws), seed)
    errors = standard_errors(block.arms, block.by_fold, unpooled)
    baseline_noise = np.random.default_rng((seed, TAG_BASELINE)).standard_normal(int(draws))
    differences, all_draws = {}, {baseline: np.zeros(int(draws))}
    for arm in block.others:
        possible = possible_pairs(block.counts.runs, arm, baseline)
        if arm not in block.arms:
            differences[arm] = Difference(np.nan, np.nan, np.nan, np.nan, 0, 0, 0, 0, 0, possible)
            continue
        resampled, error = block.arms[arm], errors[arm]
        value = float(resampled.exact @ resampled.weights)
        all_draws[arm] = value + draw_errors(arm, resampled, error, baseline_noise, seed)
        low, high, p = interval_and_p(all_draws[arm])
        differences[arm] = Difference(
            value=value,
            low=low,
            high=high,
            p=np.nan if trained_once(resampled.pairs) else p,
            seeds=int(resampled.pairs["seed"].nunique()),
            folds=int(resampled.pairs["fold"].nunique()),
            images=resampled.images,
            units=resampled.units,
            pairs=len(resampled.pairs),
            possible=possible,
            image_error=float(np.sqrt(error.image2)),
            training_error=float(np.sqrt(error.training2)),
            assumed_error=float(np.sqrt(error.assumed2)),
            dof=error.component.dof,
            own_variance=error.own_variance,
        )
    return Comparison(baseline, differences, all_draws)


def holm(p: Sequence[float]) -> AnyArray:
    """Correct p-values for multiple comparisons (Holm 1979); NaN stays NaN and isn't counted.

    Raises
    ------
    ValueError
        If one is not within 0 … 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, float)
    wrong = values[~((values >= 0) & (values <= 1) | np.isnan(values))]
    if len(wrong):
        raise ValueError(f"p: {wrong[0]}; expected probabilities within 0 … 1, or NaN")
    corrected = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def interval_and_p(draws: AnyArray) -> tuple[float, float, float]:
    """Return the ends of the 95 % interval of a difference and the two-sided p-value; NaN if any draw is.

    Parameters
    ----------
    draws
        ``(draws,)`` plausible differences.

    Returns
    -------
    low : float
        Lower end of the interval.
    high : float
        Upper end.
    p : float
        Within 0 … 1.
    """
    if np.isnan(draws).any():
        return np.nan, np.nan, np.nan
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return float(low), float(high), min(2 * (tail + 1) / (len(draws) + 1), 1.0)


def _significantly_above(better: AnyArray, worse: AnyArray) -> bool:
    return bool(np.quantile(better - worse, (1 - LEVEL) / 2) > 1e-12)
