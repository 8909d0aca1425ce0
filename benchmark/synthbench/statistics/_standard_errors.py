"""The standard error of each arm's difference, by source, and plausible errors drawn from it."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synthbench.statistics._resampling import Resampled
from synthbench.statistics.noise import BASELINE_SHARE, PRIOR
from synthbench.statistics.pooled_variance import PooledVariance, pool_variance
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
from synthbench.types import AnyArray

__all__ = ["StandardError", "draw_errors", "standard_errors", "trained_once"]

_TAG_SEEDS = 72


@dataclass(frozen=True)
class StandardError:
    """The squared standard error of a difference, by source.

    Attributes
    ----------
    image2 : float
        Due to the choice of test images.
    training2 : float
        Due to repeated training.
    component : VarianceComponent
        The estimate behind `training2`.
    dof : float
        Degrees of freedom of the sum.
    assumed2 : float
        The share of `training2` that was assumed, not measured.
    own_variance : bool
        Whether the arm's trainings vary more than those of the other arms, so that only their own variance is used.
    seed2 : float
        The share of `training2` that shrinks with the number of segmenter seeds; the rest is due to generator seeds and
        folds.
    """

    image2: float
    training2: float
    component: VarianceComponent
    dof: float
    assumed2: float
    own_variance: bool = False
    seed2: float = 0.0


def trained_once(pairs: pd.DataFrame) -> bool:
    """Whether the segmenter was trained with one seed in one fold, so that training wasn't repeated."""
    return pairs["seed"].nunique() == 1 and pairs["fold"].nunique() == 1


def standard_errors(
    arms: Mapping[str, Resampled], by_fold: bool, unpooled: Collection[str] = ()
) -> dict[str, StandardError]:
    """Estimate the standard error of each arm's difference.

    Parameters
    ----------
    arms, by_fold
        What `synthbench.statistics._resampling.resample_block` returns as `arms` and `by_fold`.
    unpooled
        Arms whose trainings aren't assumed to vary like those of the others.
    """
    errors = {}
    for arm, (component, assumed2, own_variance) in _training(arms, by_fold, unpooled).items():
        resampled = arms[arm]
        total2 = float((resampled.drawn @ resampled.weights).var()) * resampled.inflation
        folds = resampled.pairs["fold"] if by_fold else pd.Series(0, index=resampled.pairs.index)
        image2 = total2
        if component.dof:
            image2 = min(image_variance(resampled.drawn, folds) * resampled.inflation, total2)
        if component.with_images:
            image2 = min(image2, component.error2)
            training2, dof = component.error2 - image2, component.dof
        else:
            training2, dof = component.error2, _total_dof(image2, resampled.dof, component)
        seed2 = _of_seeds(resampled, training2)
        errors[arm] = StandardError(image2, training2, component, dof, assumed2, own_variance, seed2)
    return errors


def _of_seeds(resampled: Resampled, training2: float) -> float:
    """Return the share of the variance of training that shrinks with more segmenter seeds.

    It is all of it with one generator seed and one fold; else what the segmenter seeds within each fold show, each the
    mean over generator seeds, and no more than all of it.
    """
    pairs = resampled.pairs.assign(difference=resampled.exact)
    if pairs["fold"].nunique() == 1 and pairs["generator_seed"].nunique() == 1:
        return training2
    by_seed = pairs.groupby(["fold", "seed"])["difference"].mean().groupby("fold")
    found = (by_seed.var(ddof=1) / by_seed.size()).mean() / by_seed.ngroups
    return training2 if np.isnan(found) else min(float(found), training2)


def draw_errors(arm: str, resampled: Resampled, error: StandardError, baseline: AnyArray, seed: int) -> AnyArray:
    """Draw errors of a difference: from other test images and from repeated training.

    Parameters
    ----------
    arm
        Name of the arm; its draws depend on it, not on the order of arms.
    resampled, error
        The arm's differences, and their standard error.
    baseline
        ``(draws,)``, standard normal: half the variance of training is the baseline's, and common to all arms.
    seed
        Seed of the draws.

    Returns
    -------
    ndarray
        ``(draws,)``; NaN with a single image, or a single group of images.
    """
    draws = len(baseline)
    if not (resampled.dof or error.component.with_images):
        return np.full(draws, np.nan)
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    images = np.sqrt(error.image2) * _smoothed(resampled.drawn @ resampled.weights, 1 / resampled.inflation, rng)
    training = np.sqrt(error.training2) * (baseline + rng.standard_normal(draws)) / np.sqrt(2)
    errors: AnyArray = (images + training) / np.sqrt(rng.chisquare(error.dof, draws) / error.dof)
    return errors


def _total_dof(image2: float, image_dof: float, component: VarianceComponent) -> float:
    if component.levels:
        return float(crossed_dof(image2, image_dof, *component.levels))
    return float(combined_dof(image2, image_dof, component.error2, component.dof))


def _training(
    arms: Mapping[str, Resampled], by_fold: bool, unpooled: Collection[str]
) -> dict[str, tuple[VarianceComponent, float, bool]]:
    """Return each arm's component of repeated training, its assumed share, and whether its own variance is used."""
    pairs = {arm: resampled.pairs for arm, resampled in arms.items()}
    exact = {arm: resampled.exact for arm, resampled in arms.items()}
    moderated = moderate_components(
        {arm: training_component(pairs[arm], exact[arm], by_fold) for arm in arms},
        {arm: len(rows) for arm, rows in pairs.items()},
        unpooled,
    )
    by_seed = {arm: seed_component(pairs[arm], exact[arm], "seed") for arm in arms}
    by_generator = {arm: seed_component(pairs[arm], exact[arm], "generator_seed") for arm in arms}
    generator_seeds = {arm: rows["generator_seed"].nunique() for arm, rows in pairs.items()}
    moderated_generator = moderate_components(by_generator, generator_seeds, unpooled)
    by_generator = {
        arm: moderated_generator[arm] if component.dof else component for arm, component in by_generator.items()
    }
    pool = pool_variance(pairs, exact, unpooled)
    components = {}
    for arm in arms:
        if trained_once(pairs[arm]):
            components[arm] = *_of_one_seed(arm, by_generator[arm], moderated[arm], pool), False
        elif pool is None or arm not in pool.scales:
            components[arm] = moderated[arm], 0.0, False
        else:
            own_variance = arm in pool.outliers and not pool.baseline_is_outlier
            pooled = _pooled(arm, by_seed[arm], by_generator[arm], moderated[arm], pool)
            components[arm] = pooled, 0.0, own_variance
    return components


def _pooled(
    arm: str,
    by_seed: VarianceComponent,
    by_generator: VarianceComponent,
    moderated: VarianceComponent,
    pool: PooledVariance,
) -> VarianceComponent:
    """Return the component with the variance pooled over all arms, unless this arm or the baseline is an outlier."""
    shared2 = pool.variance * pool.scales[arm]
    if pool.baseline_is_outlier:
        return VarianceComponent(max(moderated.error2, shared2 + by_generator.error2), moderated.dof)
    training = VarianceComponent(shared2, pool.dof)
    if arm in pool.outliers:
        training = VarianceComponent(max(by_seed.error2, shared2), by_seed.dof)
    return replace(add_components(training, by_generator), levels=())


def _of_one_seed(
    arm: str, by_generator: VarianceComponent, moderated: VarianceComponent, pool: PooledVariance | None
) -> tuple[VarianceComponent, float]:
    """Return the component where training wasn't repeated: that of the other arms, or else the assumed one.

    Several generator seeds include the arm's own trainings, but not the baseline's, which they share.
    """
    if pool is not None and arm in pool.scales:
        return add_components(VarianceComponent(pool.variance * pool.scales[arm], pool.dof), by_generator), 0.0
    assumed2 = PRIOR.training**2 * (BASELINE_SHARE if by_generator.dof else 1.0)
    assumed = add_components(VarianceComponent(assumed2, np.inf), by_generator)
    return (moderated, 0.0) if moderated.dof and moderated.error2 > assumed.error2 else (assumed, assumed2)


def _smoothed(drawn: AnyArray, share: float, rng: np.random.Generator) -> AnyArray:
    """Return resampled differences with variance 1; the part that resampling underestimates is a normal error.

    Of two images, half of the resamples are the images themselves: an interval from such steps is too narrow.
    """
    deviation = float(drawn.std())
    steps = (drawn - drawn.mean()) / deviation if deviation else np.zeros(len(drawn))
    noisy_steps: AnyArray = np.sqrt(share) * steps + np.sqrt(1 - share) * rng.standard_normal(len(drawn))
    return noisy_steps
