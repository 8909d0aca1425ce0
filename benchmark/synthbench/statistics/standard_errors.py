"""What blurs each arm's difference, part by part, and plausible errors drawn from it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synthbench.statistics.noise import BASELINE_SHARE, PRIOR
from synthbench.statistics.pooled_variance import PooledVariance, pool_variance
from synthbench.statistics.resampling import Resampled
from synthbench.statistics.variance_components import (
    VarianceComponent,
    add_components,
    combined_dof,
    crossed_dof,
    image_variance,
    moderate_components,
    seed_component,
    training_component,
)

_TAG_SEEDS = 72


@dataclass(frozen=True)
class StandardError:
    """The parts of a squared standard error, where they come from, and their joint degrees of freedom.

    `assumed2` is the share of `training2` that was assumed, not measured. `own_variance`: the arm's trainings
    vary more than those of the other arms, so that only their own variance is used.
    """

    image2: float
    training2: float
    spread: VarianceComponent
    dof: float
    assumed2: float
    own_variance: bool = False


def trained_once(pairs: pd.DataFrame) -> bool:
    """Whether the segmenter was trained with one seed and in one fold: training again wasn't tried."""
    return pairs["seed"].nunique() == 1 and pairs["fold"].nunique() == 1


def standard_errors(
    arms: Mapping[str, Resampled], by_fold: bool, unpooled: Collection[str] = ()
) -> dict[str, StandardError]:
    """Return what blurs each arm's difference.

    Parameters
    ----------
    arms, by_fold
        As `synthbench.statistics.resampling.resample` gives them.
    unpooled
        Arms whose trainings aren't taken to vary like the others'.
    """
    out = {}
    for arm, (spread, assumed2, own_variance) in _training(arms, by_fold, unpooled).items():
        own = arms[arm]
        total2 = float((own.drawn @ own.weights).var()) * own.inflation
        folds = own.pairs["fold"] if by_fold else pd.Series(0, index=own.pairs.index)
        image2 = min(image_variance(own.drawn, folds) * own.inflation, total2) if spread.dof else total2
        if spread.with_images:
            image2 = min(image2, spread.error2)
            out[arm] = StandardError(image2, spread.error2 - image2, spread, spread.dof, 0.0)
        else:
            dof = _total_dof(image2, own.dof, spread)
            out[arm] = StandardError(image2, spread.error2, spread, dof, assumed2, own_variance)
    return out


def _total_dof(image2: float, images: float, spread: VarianceComponent) -> float:
    if spread.levels:
        return float(crossed_dof(image2, images, *spread.levels))
    return float(combined_dof(image2, images, spread.error2, spread.dof))


def _training(
    arms: Mapping[str, Resampled], by_fold: bool, unpooled: Collection[str]
) -> dict[str, tuple[VarianceComponent, float, bool]]:
    """Return the error of repeated training of each arm, what of it is assumed, and whether the arm is judged alone."""
    pairs = {arm: own.pairs for arm, own in arms.items()}
    exact = {arm: own.exact for arm, own in arms.items()}
    moderated = moderate_components(
        {arm: training_component(pairs[arm], exact[arm], by_fold) for arm in arms},
        {arm: len(own) for arm, own in pairs.items()},
        unpooled,
    )
    seeds = {arm: seed_component(pairs[arm], exact[arm], "seed") for arm in arms}
    generators = {arm: seed_component(pairs[arm], exact[arm], "generator_seed") for arm in arms}
    many = moderate_components(
        generators, {arm: own["generator_seed"].nunique() for arm, own in pairs.items()}, unpooled
    )
    generators = {arm: many[arm] if own.dof else own for arm, own in generators.items()}
    pool = pool_variance(pairs, exact, unpooled)
    out = {}
    for arm in arms:
        if trained_once(pairs[arm]):
            out[arm] = *_of_one_seed(arm, generators[arm], moderated[arm], pool), False
        elif pool is None or arm not in pool.scales:
            out[arm] = moderated[arm], 0.0, False
        else:
            own_variance = arm in pool.outliers and not pool.baseline_is_outlier
            out[arm] = _pooled(arm, seeds[arm], generators[arm], moderated[arm], pool), 0.0, own_variance
    return out


def _pooled(
    arm: str,
    seeds: VarianceComponent,
    generators: VarianceComponent,
    moderated: VarianceComponent,
    pool: PooledVariance,
) -> VarianceComponent:
    """Return the error of training with the variance of all arms together, where this arm and the baseline fit in."""
    shared2 = pool.variance * pool.scales[arm]
    if pool.baseline_is_outlier:
        return VarianceComponent(max(moderated.error2, shared2 + generators.error2), moderated.dof)
    training = (
        VarianceComponent(max(seeds.error2, shared2), seeds.dof)
        if arm in pool.outliers
        else VarianceComponent(shared2, pool.dof)
    )
    return replace(add_components(training, generators), levels=())


def _of_one_seed(
    arm: str, generators: VarianceComponent, moderated: VarianceComponent, pool: PooledVariance | None
) -> tuple[VarianceComponent, float]:
    """Return the error of training that wasn't repeated: as the other arms vary, or else as is assumed.

    Generator seeds, where there are several, hold the arm's own trainings, but not the baseline's, which they share.
    """
    if pool is not None and arm in pool.scales:
        return add_components(VarianceComponent(pool.variance * pool.scales[arm], pool.dof), generators), 0.0
    assumed2 = PRIOR.training**2 * (BASELINE_SHARE if generators.dof else 1.0)
    found = add_components(VarianceComponent(assumed2, np.inf), generators)
    return (moderated, 0.0) if moderated.dof and moderated.error2 > found.error2 else (found, assumed2)


def draw_errors(arm: str, own: Resampled, parts: StandardError, baseline: np.ndarray, seed: int) -> np.ndarray:
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
    if not (own.dof or parts.spread.with_images):
        return np.full(draws, np.nan)
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    images = np.sqrt(parts.image2) * _smoothed(own.drawn @ own.weights, 1 / own.inflation, rng)
    training = np.sqrt(parts.training2) * (baseline + rng.standard_normal(draws)) / np.sqrt(2)
    out: np.ndarray = (images + training) / np.sqrt(rng.chisquare(parts.dof, draws) / parts.dof)
    return out


def _smoothed(drawn: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return resampled differences with variance 1, the part of it that resampling lacks being a normal error's.

    Of two images, half of the resamples are the images themselves: an interval from such steps is too narrow.
    """
    spread = float(drawn.std())
    steps = (drawn - drawn.mean()) / spread if spread else np.zeros(len(drawn))
    return np.sqrt(share) * steps + np.sqrt(1 - share) * rng.standard_normal(len(drawn))
