"""Differences between arms, paired by seed and test image, with intervals; and the ranks that they allow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, DataError, nearest
from synthbench.statistics.repeats import Spread, image_variance, joint_freedom, lend, measure
from synthbench.statistics.resampling import Resampled, pair, possible_pairs, resample
from synthbench.statistics.tallies import tally

LEVEL = 0.95
DRAWS = 10_000
_TAG_SEEDS, _TAG_BASELINE = 72, 73


@dataclass(frozen=True)
class Difference:
    """Score of an arm minus score of the baseline.

    Attributes
    ----------
    value : float
        Mean over the pairs of runs, each fold counting alike; a fraction of 1, signed. NaN when no pair is there.
    low, high : float
        The 95 % interval. NaN when nothing is known of it: fewer than two test images.
    p : float
        Two-sided, of no difference; not corrected for several arms, see `holm`.
    seeds : int
        Distinct segmenter seeds among the pairs. With 1, the interval speaks of test images alone: training again could
        move the value out of it.
    images : int
        Test images that were resampled.
    pairs, possible : int
        Pairs of runs that are there, and that would be if no task had failed (as far as these rows can tell).
    image_error, training_error : float
        The two parts of the standard error: other test images, and training again (with folds, on other images). The
        second is 0 where nothing was repeated.
    freedom : float
        Degrees of freedom behind `training_error`; with folds, behind the whole error.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    images: int
    pairs: int
    possible: int
    image_error: float = 0.0
    training_error: float = 0.0
    freedom: float = 0.0

    @property
    def coverage(self) -> float:
        """Share of the possible pairs that are there, 0 … 1."""
        return self.pairs / self.possible if self.possible else 0.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """All arms of a cell against one baseline, from the same resamples.

    Attributes
    ----------
    baseline : str
    differences : dict of str to Difference
        The baseline itself is not among them.
    draws : dict of str to ndarray
        ``(draws,)`` plausible differences of each arm with pairs, the baseline's being zero; NaN where nothing is known
        of them.
    """

    baseline: str
    differences: dict[str, Difference]
    draws: dict[str, np.ndarray]

    def ranks(self) -> pd.DataFrame:
        """Return ``arm``, ``rank``, ``low``, ``high``, best first.

        `rank` counts the arms with a higher value, ties sharing the better rank. `low` is 1 + the arms that are surely
        better, `high` the number of arms − those surely worse: the paired 95 % interval of the two arms' difference is
        on one side of zero. Arms that the data can't tell apart thus have overlapping ranges. Each such comparison is
        at 95 % by itself: that all ranges hold at once is less sure.
        """
        arms = list(self.draws)
        values = {a: 0.0 if a == self.baseline else self.differences[a].value for a in arms}
        rows = []
        for arm in arms:
            above = sum(_surely_above(self.draws[o], self.draws[arm]) for o in arms if o != arm)
            under = sum(_surely_above(self.draws[arm], self.draws[o]) for o in arms if o != arm)
            higher = sum(values[o] > values[arm] + 1e-12 for o in arms)
            rows.append((arm, 1 + higher, min(1 + above, 1 + higher), max(len(arms) - under, 1 + higher)))
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
    """Compare one arm with the baseline; see `compare`, whose result this picks from.

    Raises
    ------
    DataError
        If the arm is not among the rows.
    """
    found = compare(images, baseline, metric, iou, aggregation, draws, seed).differences
    if arm not in found:
        raise DataError(f"arm {arm!r} has no scores to compare with {baseline!r}{nearest(arm, found)}")
    return found[arm]


def ranks(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the arms of one cell; see `Comparison.ranks`."""
    return compare(images, baseline, metric, iou, aggregation, draws, seed).ranks()


def compare(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare every arm of one cell with the baseline.

    Runs are paired by fold, generator seed (where the baseline has one) and segmenter seed, and both runs of a pair are
    scored on the test images they share. Each draw resamples the test images with replacement (within folds, where
    every image belongs to one), recomputes both scores from the resampled counts, and adds an error of repeated
    training; how well both are known, with few seeds, folds or images, makes the tails those of Student's t
    (`synthbench.statistics.repeats`).

    The interval covers: other test images of the same kind, and other seeds of the segmenter and, where they were
    varied, of the generator. It doesn't cover: another dataset; other training images, unless there are folds; and,
    with one seed, training again. It treats test images as independent: where they come from few videos or patients,
    it is too narrow.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter, of the form that `synthbench.load_results` gives.
    baseline
        The arm to compare with.
    metric, iou, aggregation
        See `synthbench.statistics.tallies.tally`.
    draws
        Resamples, 2 or more.
    seed
        Of the resamples; an arm's draws don't depend on the order of the arms.

    Raises
    ------
    ConfigError
        If the metric, the threshold or the baseline isn't there, or `draws` isn't a number of draws.
    DataError
        If the rows are damaged; see `synthbench.statistics.tallies.tally`.
    """
    if isinstance(draws, bool) or not isinstance(draws, Integral) or draws < 2:
        raise ConfigError(f"draws: {draws!r}; give a whole number, 2 or more")
    found = tally(images, metric, iou, aggregation)
    names = sorted(set(found.runs["arm"]))
    if baseline not in names:
        raise ConfigError(f"baseline {baseline!r} is not among the arms{nearest(str(baseline), names)}")
    matched = {arm: pair(found.runs, arm, baseline) for arm in names if arm != baseline}
    arms, by_fold = resample(images, found, matched, int(draws), seed)
    noises = _noises(arms, by_fold)
    base_noise = np.random.default_rng((seed, _TAG_BASELINE)).standard_normal(int(draws))
    differences, all_draws = {}, {baseline: np.zeros(int(draws))}
    for arm in matched:
        possible = possible_pairs(found.runs, arm, baseline)
        if arm not in arms:
            differences[arm] = Difference(np.nan, np.nan, np.nan, np.nan, 0, 0, 0, possible)
            continue
        own, noise = arms[arm], noises[arm]
        value = float(own.exact @ own.shares)
        total = all_draws[arm] = value + _errors(arm, own, noise, base_noise, seed)
        counts = (int(own.pairs["seed"].nunique()), own.images, len(own.pairs), possible)
        errors = (float(np.sqrt(noise.image2)), float(np.sqrt(noise.training2)), noise.spread.freedom)
        differences[arm] = Difference(value, *_summary(total), *counts, *errors)
    return Comparison(baseline, differences, all_draws)


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p-values for their number (Holm 1979); NaN stays NaN and isn't counted.

    Raises
    ------
    ValueError
        If one is no probability.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, float)
    wrong = values[~((values >= 0) & (values <= 1) | np.isnan(values))]
    if len(wrong):
        raise ValueError(f"p: {wrong[0]}; give probabilities, 0 … 1, or NaN")
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


@dataclass(frozen=True)
class _Noise:
    """The parts of a squared standard error, where they come from, and their joint degrees of freedom."""

    image2: float
    training2: float
    spread: Spread
    freedom: float


def _noises(arms: dict[str, Resampled], by_fold: bool) -> dict[str, _Noise]:
    """Return what blurs each arm's difference, the arms lending each other the spread of repeated training."""
    spreads = {arm: measure(own.pairs, own.exact, by_fold) for arm, own in arms.items()}
    spreads = lend(spreads, {arm: len(own.pairs) for arm, own in arms.items()})
    out = {}
    for arm, own in arms.items():
        spread, few = spreads[arm], own.images / max(own.freedom, 1)
        total2 = float((own.drawn @ own.shares).var()) * few
        groups = own.pairs["fold"] if by_fold else pd.Series(0, index=own.pairs.index)
        alone = image_variance(own.drawn, groups)
        image2 = min(alone * few, total2) if spread.freedom else total2
        if spread.with_images:
            image2 = min(image2, spread.error2)
            out[arm] = _Noise(image2, spread.error2 - image2, spread, spread.freedom)
        else:
            freedom = float(joint_freedom(image2, own.freedom, spread.error2, spread.freedom))
            out[arm] = _Noise(image2, spread.error2, spread, freedom)
    return out


def _errors(arm: str, own: Resampled, noise: _Noise, base_noise: np.ndarray, seed: int) -> np.ndarray:
    """Draw errors of a difference, ``(draws,)``: of other images, and of training again.

    NaN where one test image is all there is. Half the variance of training is the baseline's, and common to all arms.
    """
    draws = len(base_noise)
    if own.images < 2:
        return np.full(draws, np.nan)
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    images = np.sqrt(noise.image2) * _smoothed(own.drawn @ own.shares, own.freedom / own.images, rng)
    training = np.sqrt(noise.training2) * (base_noise + rng.standard_normal(draws)) / np.sqrt(2)
    errors: np.ndarray = (images + training) / np.sqrt(rng.chisquare(noise.freedom, draws) / noise.freedom)
    return errors


def _smoothed(drawn: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return resampled differences with variance 1, the part of it that resampling lacks being a normal error's.

    Of two images, half of the resamples are the images themselves: an interval from such steps is too narrow.
    """
    spread = float(drawn.std())
    steps = (drawn - drawn.mean()) / spread if spread else np.zeros(len(drawn))
    return np.sqrt(share) * steps + np.sqrt(1 - share) * rng.standard_normal(len(drawn))


def _summary(draws: np.ndarray) -> tuple[float, float, float]:
    """Return the ends of the interval and p, NaN of draws that are."""
    if np.isnan(draws).any():
        return np.nan, np.nan, np.nan
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return float(low), float(high), min(2 * (tail + 1) / (len(draws) + 1), 1.0)


def _surely_above(better: np.ndarray, worse: np.ndarray) -> bool:
    return bool(np.quantile(better - worse, (1 - LEVEL) / 2) > 1e-12)
