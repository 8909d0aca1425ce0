"""The minimum detectable effect of a study design, before the study is run.

Test images, repeated training of segmenters and generators, and other training images add noise to a difference. Their
variances come from a pilot (earlier results of the same data and segmenter), or from a stated prior
(`synthbench.statistics.noise`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthbench.statistics.differences import LEVEL
from synthbench.statistics.noise import BASELINE_SHARE, Noise
from synthbench.statistics.pooled_variance import ARM_OUTLIER_P, BASELINE_OUTLIER_P, two_way
from synthbench.statistics.variance_components import combined_dof, crossed_dof, moderate_variance, sum_dof
from synthbench.types import AnyArray

__all__ = ["POWER", "minimum_detectable_effect"]

POWER = 0.8
_STUDIES = 10_000
_TAG_STUDIES = 5


def minimum_detectable_effect(
    noise: Noise,
    images: int,
    seeds: int,
    arms: int,
    power: float = POWER,
    *,
    generator_seeds: int = 1,
    folds: int = 1,
) -> float:
    """Return the smallest true difference that is significant with probability `power`.

    The test is that of the leaderboard (`synthbench.statistics.compare`): two-sided at 5 %, over test images, repeated
    training and, with several folds, over those. Studies are simulated whose arms differ by noise alone; each estimates
    its variances and degrees of freedom as the test does, from all arms together where the test pools. The result is
    the difference that makes the first arm significant in a fraction `power` of the studies. The threshold is corrected
    for the number of arms by Bonferroni, which is Holm's rule for the first arm: where several arms differ, slightly
    smaller differences are detected.

    One segmenter seed in one fold can't decide anything. With one generator seed the difference is that of this one
    generator, and the generator's noise doesn't enter, unless folds train it again.

    Parameters
    ----------
    noise
        Noise of one pair of runs and one image.
    images
        Number of test images, or of groups of them, over all folds.
    seeds
        Number of segmenter seeds.
    arms
        Number of arms that are compared with the baseline.
    power
        Above 0.05, below 1.
    generator_seeds
        Number of generator seeds, each crossed with all segmenter seeds; all share the baseline's runs.
    folds
        Number of folds, each with its own test images.

    Returns
    -------
    float
        In units of the score. NaN for fewer than two test images, or fewer than folds: there is no interval. Infinite
        for one seed in one fold: no difference is significant.

    Raises
    ------
    ValueError
        If a number can't be used; the message names it.
    """
    counts = {"images": images, "seeds": seeds, "arms": arms, "generator_seeds": generator_seeds, "folds": folds}
    for name, value in counts.items():
        if not value >= 1:
            raise ValueError(f"{name}: {value}; expected an integer ≥ 1")
    if not 1 - LEVEL < power < 1:
        raise ValueError(f"power: {power}; expected a value above {1 - LEVEL:.2f} and below 1")
    for name in ("image", "training", "generator", "residual", "fold"):
        if not 0 <= getattr(noise, name) < np.inf:
            raise ValueError(f"noise: {name} is {getattr(noise, name)}; expected a standard deviation ≥ 0")
    if images < 2 or images < folds:
        return float("nan")
    if seeds == 1 and folds == 1:
        return float("inf")
    rng = np.random.default_rng((_TAG_STUDIES, _STUDIES))
    if folds > 1:
        first_arm = _over_folds(rng, noise, images, seeds, arms, generator_seeds, folds)
    else:
        first_arm = _over_seeds(rng, noise, images, seeds, arms, generator_seeds)
    thresholds = np.sqrt(first_arm.error2) * _critical_t(first_arm.dof, arms)
    return max(0.0, float(np.quantile(thresholds - first_arm.error, power)))


class _FirstArm(NamedTuple):
    """Error of the first arm in each study, and its estimated squared standard error with degrees of freedom.

    All ``(studies,)``.
    """

    error: AnyArray
    error2: AnyArray
    dof: AnyArray


class _Level(NamedTuple):
    """Squared standard errors of all arms over one kind of repeats, and degrees of freedom, ``(studies, arms)``."""

    error2: AnyArray
    dof: AnyArray

    @classmethod
    def of(cls, means: AnyArray) -> _Level:
        """Estimate it from the means of the repeats, ``(studies, arms, repeats)``."""
        error2 = means.var(axis=2, ddof=1) / means.shape[2]
        return cls(error2, np.full(error2.shape, means.shape[2] - 1.0))


def _training2(noise: Noise, images: float) -> tuple[float, float]:
    """Return the variances due to segmenter seeds in one pair of runs: the baseline's, and the arm's own."""
    both = noise.training**2 + noise.residual**2 / images
    return BASELINE_SHARE * both, (1 - BASELINE_SHARE) * both


def _over_folds(
    rng: np.random.Generator, noise: Noise, images: int, seeds: int, arms: int, generator_seeds: int, folds: int
) -> _FirstArm:
    """Simulate the test of the first arm over the means of folds."""
    base2, own2 = _training2(noise, images / folds)
    fold2 = noise.fold**2 + noise.generator**2 / generator_seeds + noise.image**2 * folds / images
    baseline = _normal(rng, base2 / seeds, folds)
    means = _normal(rng, fold2 + own2 / (seeds * generator_seeds), arms, folds) - baseline[:, None]
    return _FirstArm(means[:, 0].mean(axis=1), *_moderated(_Level.of(means)))


def _over_seeds(
    rng: np.random.Generator, noise: Noise, images: int, seeds: int, arms: int, generator_seeds: int
) -> _FirstArm:
    """Simulate the test of the first arm over segmenter seeds, generator seeds that cross them, and images."""
    base2, own2 = _training2(noise, images)
    generator2 = noise.generator**2 if generator_seeds > 1 else 0.0
    trained = _normal(rng, base2, 1, seeds), _normal(rng, own2 / generator_seeds, arms, seeds)
    by_seed = trained[1] - trained[0]
    by_generator = _normal(rng, generator2, arms, generator_seeds)
    error = _normal(rng, noise.image**2 / images) + by_seed[:, 0].mean(axis=1) + by_generator[:, 0].mean(axis=1)
    pairs = seeds * generator_seeds
    shared = (generator_seeds - 1) / (pairs - 1) * BASELINE_SHARE if pairs > 1 else 1.0
    image2 = (noise.image**2 + shared * noise.residual**2) / images
    of_images = image2 * rng.chisquare(images - 1, _STUDIES) / (images - 1), images - 1
    levels = [_Level.of(by_seed)]
    if generator_seeds > 1:
        levels.append(_Level.of(by_generator + _normal(rng, own2 / seeds, arms, generator_seeds)))
    if arms > 1 and base2 > 0:
        training2, dof = _pooled_training(np.concatenate(trained, axis=1), generator_seeds, levels, of_images)
    elif arms > 1 or generator_seeds == 1:
        training2, known = _moderated(_summed(levels))
        dof = combined_dof(*of_images, training2, known)
    else:
        parts = [(level.error2[:, 0], level.dof[:, 0]) for level in levels]
        training2, dof = parts[0][0] + parts[1][0], crossed_dof(*of_images, *parts)
    return _FirstArm(error, of_images[0] + training2, dof)


def _pooled_training(
    tables: AnyArray, generator_seeds: int, levels: list[_Level], of_images: tuple[AnyArray, float]
) -> tuple[AnyArray, AnyArray]:
    """Return the first arm's variance of training, pooled with those of the others, and the total degrees of freedom.

    Parameters
    ----------
    tables
        ``(studies, 1 + arms, seeds)``: error of each run due to training, mean over generator seeds; baseline first.
    levels
        Estimates of single arms, over segmenter seeds and, where there are several, over generator seeds.
    of_images
        Squared error over test images, ``(studies,)``, and its degrees of freedom.
    """
    _, rows, seeds = tables.shape
    row, column = (index.ravel() for index in np.indices((rows, seeds)))
    scale = np.where(row == 0, 1.0, 1 / generator_seeds)
    variance, pooled, p = two_way(tables.reshape(len(tables), -1), row, column, scale)
    shared = variance * (1 + 1 / generator_seeds) / seeds
    outliers = p[:, 1] < ARM_OUTLIER_P
    training = np.where(outliers, np.maximum(levels[0].error2[:, 0], shared), shared)
    known = np.where(outliers, seeds - 1, pooled)
    more = np.zeros(_STUDIES)
    if generator_seeds > 1:
        more, generator_dof = _moderated(levels[1])
        known = sum_dof([training, more], [known, generator_dof])
    moderated2, moderated_dof = _moderated(_summed(levels))
    fallback = np.maximum(moderated2, shared + more)
    baseline = p[:, 0] < BASELINE_OUTLIER_P
    return (
        np.where(baseline, fallback, training + more),
        np.where(
            baseline,
            combined_dof(*of_images, fallback, moderated_dof),
            combined_dof(*of_images, training + more, known),
        ),
    )


def _summed(levels: list[_Level]) -> _Level:
    if len(levels) == 1:
        return levels[0]
    error2, dof = zip(*levels, strict=True)
    return _Level(np.sum(error2, axis=0), sum_dof(error2, dof))


def _moderated(level: _Level) -> tuple[AnyArray, AnyArray]:
    """Return the first arm's squared error and degrees of freedom, moderated by the other arms."""
    own = level.error2[:, 0], level.dof[:, 0]
    if level.error2.shape[1] == 1 or not level.error2.any():
        return own
    return moderate_variance(*own, level.error2[:, 1:], level.dof[:, 1:])


def _normal(rng: np.random.Generator, variance: float, *shape: int) -> AnyArray:
    """Draw errors of that variance, ``(studies, *shape)``."""
    errors: AnyArray = np.sqrt(variance) * rng.standard_normal((_STUDIES, *shape))
    return errors


def _critical_t(dof: AnyArray, arms: int) -> AnyArray:
    """Return Student's t above which a difference is significant."""
    from scipy.special import stdtrit

    return -np.asarray(stdtrit(dof, (1 - LEVEL) / (2 * arms)))
