"""What blurs each arm's difference, part by part, and plausible errors drawn from it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synthbench.statistics.noise import BASELINE_SHARE, PRIOR
from synthbench.statistics.pooled_variance import Together, together
from synthbench.statistics.resampling import Resampled
from synthbench.statistics.variance_components import (
    Spread,
    add,
    crossed_freedom,
    image_variance,
    joint_freedom,
    lend,
    level,
    measure,
)

_TAG_SEEDS = 72


@dataclass(frozen=True)
class Parts:
    """The parts of a squared standard error, where they come from, and their joint degrees of freedom.

    `assumed2` is what of `training2` was assumed, not measured; `alone`: whether an arm whose trainings vary more than
    the others' is judged by its own.
    """

    image2: float
    training2: float
    spread: Spread
    freedom: float
    assumed2: float
    alone: bool = False


def once(pairs: pd.DataFrame) -> bool:
    """Whether the segmenter was trained with one seed and in one fold: training again wasn't tried."""
    return pairs["seed"].nunique() == 1 and pairs["fold"].nunique() == 1


def uncertainty(arms: Mapping[str, Resampled], by_fold: bool, apart: Collection[str] = ()) -> dict[str, Parts]:
    """Return what blurs each arm's difference.

    Parameters
    ----------
    arms, by_fold
        As `synthbench.statistics.resampling.resample` gives them.
    apart
        Arms whose trainings aren't taken to vary like the others'.
    """
    out = {}
    for arm, (spread, assumed2, alone) in _training(arms, by_fold, apart).items():
        own = arms[arm]
        total2 = float((own.drawn @ own.shares).var()) * own.few
        folds = own.pairs["fold"] if by_fold else pd.Series(0, index=own.pairs.index)
        image2 = min(image_variance(own.drawn, folds) * own.few, total2) if spread.freedom else total2
        if spread.with_images:
            image2 = min(image2, spread.error2)
            out[arm] = Parts(image2, spread.error2 - image2, spread, spread.freedom, 0.0)
        else:
            freedom = _whole_freedom(image2, own.freedom, spread)
            out[arm] = Parts(image2, spread.error2, spread, freedom, assumed2, alone)
    return out


def _whole_freedom(image2: float, images: float, spread: Spread) -> float:
    if spread.levels:
        return float(crossed_freedom(image2, images, *spread.levels))
    return float(joint_freedom(image2, images, spread.error2, spread.freedom))


def _training(
    arms: Mapping[str, Resampled], by_fold: bool, apart: Collection[str]
) -> dict[str, tuple[Spread, float, bool]]:
    """Return the error of repeated training of each arm, what of it is assumed, and whether the arm is judged alone."""
    pairs = {arm: own.pairs for arm, own in arms.items()}
    exact = {arm: own.exact for arm, own in arms.items()}
    lent = lend(
        {arm: measure(pairs[arm], exact[arm], by_fold) for arm in arms},
        {arm: len(own) for arm, own in pairs.items()},
        apart,
    )
    seeds = {arm: level(pairs[arm], exact[arm], "seed") for arm in arms}
    generators = {arm: level(pairs[arm], exact[arm], "generator_seed") for arm in arms}
    many = lend(generators, {arm: own["generator_seed"].nunique() for arm, own in pairs.items()}, apart)
    generators = {arm: many[arm] if own.freedom else own for arm, own in generators.items()}
    pool = together(pairs, exact, apart)
    out = {}
    for arm in arms:
        if once(pairs[arm]):
            out[arm] = *_of_one_seed(arm, generators[arm], lent[arm], pool), False
        elif pool is None or arm not in pool.scales:
            out[arm] = lent[arm], 0.0, False
        else:
            alone = arm in pool.wild and not pool.baseline_wild
            out[arm] = _pooled(arm, seeds[arm], generators[arm], lent[arm], pool), 0.0, alone
    return out


def _pooled(arm: str, seeds: Spread, generators: Spread, lent: Spread, pool: Together) -> Spread:
    """Return the error of training with the variance of all arms together, where this arm and the baseline fit in."""
    shared2 = pool.variance * pool.scales[arm]
    if pool.baseline_wild:
        return Spread(max(lent.error2, shared2 + generators.error2), lent.freedom)
    training = Spread(max(seeds.error2, shared2), seeds.freedom) if arm in pool.wild else Spread(shared2, pool.freedom)
    return replace(add(training, generators), levels=())


def _of_one_seed(arm: str, generators: Spread, lent: Spread, pool: Together | None) -> tuple[Spread, float]:
    """Return the error of training that wasn't repeated: as the other arms vary, or else as is assumed.

    Generator seeds, where there are several, hold the arm's own trainings, but not the baseline's, which they share.
    """
    if pool is not None and arm in pool.scales:
        return add(Spread(pool.variance * pool.scales[arm], pool.freedom), generators), 0.0
    assumed2 = PRIOR.training**2 * (BASELINE_SHARE if generators.freedom else 1.0)
    found = add(Spread(assumed2, np.inf), generators)
    return (lent, 0.0) if lent.freedom and lent.error2 > found.error2 else (found, assumed2)


def errors(arm: str, own: Resampled, parts: Parts, baseline: np.ndarray, seed: int) -> np.ndarray:
    """Draw errors of a difference: of other images, and of training again.

    Parameters
    ----------
    baseline
        ``(draws,)``, standard normal: half the variance of training is the baseline's, and common to all arms.

    Returns
    -------
    ndarray
        ``(draws,)``; NaN where images tell nothing: there is one, or one group of them.
    """
    draws = len(baseline)
    if not (own.freedom or parts.spread.with_images):
        return np.full(draws, np.nan)
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    images = np.sqrt(parts.image2) * _smoothed(own.drawn @ own.shares, 1 / own.few, rng)
    training = np.sqrt(parts.training2) * (baseline + rng.standard_normal(draws)) / np.sqrt(2)
    out: np.ndarray = (images + training) / np.sqrt(rng.chisquare(parts.freedom, draws) / parts.freedom)
    return out


def _smoothed(drawn: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return resampled differences with variance 1, the part of it that resampling lacks being a normal error's.

    Of two images, half of the resamples are the images themselves: an interval from such steps is too narrow.
    """
    spread = float(drawn.std())
    steps = (drawn - drawn.mean()) / spread if spread else np.zeros(len(drawn))
    return np.sqrt(share) * steps + np.sqrt(1 - share) * rng.standard_normal(len(drawn))
