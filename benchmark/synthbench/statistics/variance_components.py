"""Variance of a difference due to repeated training, and its degrees of freedom.

A bootstrap over few seeds is too narrow: over three it gives at best their range, which covers the truth in 75 % of
cases at a nominal 95 %. So seeds aren't resampled: their mean square is estimated beside that of the images, as in
multi-reader multi-case studies (Obuchowski & Rockette 1995; degrees of freedom after Hillis 2007,
doi:10.1002/sim.2532). The variance of each arm is moderated by those of the other arms of its block (moderated t, Smyth
2004, doi:10.2202/1544-6115.1027; the weight of the prior follows from the number of arms and isn't fitted).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import digamma, polygamma

from synthbench.types import AnyArray

__all__ = [
    "SHARED",
    "VarianceComponent",
    "add_components",
    "combined_dof",
    "crossed_dof",
    "image_variance",
    "moderate_components",
    "moderate_variance",
    "prior_dof",
    "seed_component",
    "sum_dof",
    "training_component",
]

SHARED = 0.25
"""Squared correlation of two arms' differences from the same baseline, if all runs vary equally."""

_NEWTON_STEPS = 12


@dataclass(frozen=True)
class VarianceComponent:
    """Squared standard error of a mean difference over repeated training, and its degrees of freedom.

    Attributes
    ----------
    error2 : float
        Squared standard error.
    dof : float
        Its degrees of freedom; 0 where nothing was repeated.
    with_images : bool
        Whether it includes the variance over test images, as that over folds with different test images does.
    levels : tuple
        Of a sum over segmenter seeds and generator seeds that cross them: squared error and degrees of freedom of both.
    """

    error2: float
    dof: float
    with_images: bool = False
    levels: tuple[tuple[float, float], ...] = ()


def training_component(pairs: pd.DataFrame, difference: AnyArray, by_fold: bool) -> VarianceComponent:
    """Estimate the variance of the mean difference of one arm due to repeated training.

    With several folds it is the variance of their means: this includes everything that differs between folds, seeds
    and test images too, and its degrees of freedom follow from their number. Seeds within folds aren't counted, since
    they don't show how folds differ.

    Parameters
    ----------
    pairs
        One row per pair of runs: ``fold``, ``generator_seed``, ``seed``.
    difference
        ``(pairs,)``, score of the arm's run minus score of the baseline's.
    by_fold
        Whether every test image belongs to one fold.

    Returns
    -------
    VarianceComponent
        With `dof` 0 where nothing was repeated.
    """
    folds = pd.Series(difference, index=pairs.index).groupby(pairs["fold"])
    if folds.ngroups > 1:
        means = folds.mean().to_numpy()
        return VarianceComponent(float(means.var(ddof=1)) / len(means), len(means) - 1, with_images=by_fold)
    return add_components(*(seed_component(pairs, difference, name) for name in ("seed", "generator_seed")))


def seed_component(pairs: pd.DataFrame, difference: AnyArray, name: str) -> VarianceComponent:
    """Estimate the variance of the means over one kind of seeds; 0 with `dof` 0 where it wasn't repeated.

    Generator seeds count as repeated where they cross segmenter seeds, not where each segmenter seed has its own.
    """
    if name == "generator_seed" and pairs.groupby("seed")["generator_seed"].nunique().max() < 2:
        return VarianceComponent(0.0, 0)
    means = pd.Series(difference, index=pairs.index).groupby(pairs[name]).mean().to_numpy()
    return (
        VarianceComponent(float(means.var(ddof=1)) / len(means), len(means) - 1)
        if len(means) > 1
        else VarianceComponent(0.0, 0)
    )


def add_components(*parts: VarianceComponent) -> VarianceComponent:
    """Return the sum of independent errors, with its degrees of freedom; see `sum_dof`."""
    total = sum(part.error2 for part in parts)
    if not total:
        return VarianceComponent(0.0, sum(part.dof for part in parts))
    known = [part for part in parts if part.error2]
    levels = tuple((part.error2, part.dof) for part in known)
    dof = float(sum_dof([error2 for error2, _ in levels], [dof for _, dof in levels]))
    return VarianceComponent(total, dof, levels=levels if len(levels) > 1 else ())


def sum_dof(errors2: Sequence[AnyArray | float], dofs: Sequence[AnyArray | float]) -> AnyArray:
    """Return the degrees of freedom of a sum of squared errors, each with its own.

    Welch–Satterthwaite treats the shares as known. A share estimated from two seeds is often small by chance, and the
    sum then gets the many degrees of freedom of another: so each counts 1 + 5/ν times (see `combined_dof`).

    Parameters
    ----------
    errors2
        Each a number, or ``(studies,)``; the sum is above 0.
    dofs
        Degrees of freedom of each, above 0; infinite for a known variance.
    """
    counted = [np.asarray(error2) * (1 + 5 / dof) for error2, dof in zip(errors2, dofs, strict=True)]
    doubt = np.sum([part**2 / dof for part, dof in zip(counted, dofs, strict=True)], axis=0)
    total2 = np.square(np.sum(counted, axis=0))
    return np.divide(total2, doubt, out=np.full(np.shape(total2), np.inf), where=doubt > 0)


def image_variance(drawn: AnyArray, folds: pd.Series) -> float:
    """Return the variance of the mean difference over test images that is common to all runs.

    Pairs of one fold share their images, so their covariance is that of the images.

    Parameters
    ----------
    drawn
        ``(draws, pairs)``, differences over resampled images.
    folds
        ``(pairs,)``; folds count equally.
    """
    total, names = 0.0, sorted(set(folds), key=str)
    for name in names:
        cov = np.atleast_2d(np.cov(drawn[:, (folds == name).to_numpy()], rowvar=False))
        count = len(cov)
        shared = cov[0, 0] if count == 1 else (cov.sum() - np.trace(cov)) / (count * (count - 1))
        total += max(float(shared), 0.0) / len(names) ** 2
    return total


def combined_dof(image2: AnyArray | float, images: float, error2: AnyArray | float, dof: AnyArray | float) -> AnyArray:
    """Return the degrees of freedom of a standard error over test images and repeated training.

    Welch–Satterthwaite treats the share of training in the variance as known, and with two seeds covers the truth in
    90 % of cases at a nominal 95 %, because that share is often small by chance. Counting it 1 + 5/ν times, chosen by
    simulation, gives 94 to 97 % for 2, 3 and 10 seeds, whatever the shares (docs/statistics.md). With few images the
    same happens to their share, so their degrees of freedom are the upper limit.

    Parameters
    ----------
    image2
        Squared standard error of other test images.
    images
        Its degrees of freedom; values below 1 count as 1.
    error2, dof
        Of repeated training; 0 and 0 where nothing was repeated.
    """
    most = max(images, 1)
    known = np.maximum(dof, 1)
    training2 = np.asarray(error2) * (1 + 5 / known)
    parts = training2**2 / known + np.square(image2) / most
    dof = np.divide((training2 + image2) ** 2, parts, out=np.full(np.shape(parts), float(most)), where=parts > 0)
    return np.minimum(dof, most)


def crossed_dof(
    image2: AnyArray | float,
    images: float,
    seeds: tuple[AnyArray | float, AnyArray | float],
    generators: tuple[AnyArray | float, AnyArray | float],
) -> AnyArray:
    """Return the degrees of freedom of a standard error over test images, segmenter seeds and generator seeds.

    Two generator seeds that happen to be similar say little about how generators vary, and no weighting of degrees of
    freedom can correct that: instead, the half widths of the two components' own intervals are added in squares (Howe
    1974), and the result is the number of degrees of freedom with an interval of that width.

    Parameters
    ----------
    image2, images
        As in `combined_dof`.
    seeds, generators
        Squared error and degrees of freedom of each.
    """
    rest2, generator2 = np.asarray(image2 + seeds[0]), np.asarray(generators[0])
    places, squares = _t_squared()
    wide = np.interp(np.log(combined_dof(image2, images, *seeds)), places, squares)
    wide_generator = np.interp(np.log(generators[1]), places, squares)
    total2 = rest2 + generator2
    both = np.divide(
        rest2 * wide + generator2 * wide_generator, total2, out=np.array(wide + 0 * total2), where=total2 > 0
    )
    return np.exp(np.interp(-both, -squares, places))


@cache
def _t_squared() -> tuple[AnyArray, AnyArray]:
    """Return logarithms of degrees of freedom, and the square of Student's t that 95 % lie within at each."""
    from scipy.special import stdtrit

    dofs = np.geomspace(1, 1e6, 2000)
    return np.log(dofs), np.square(stdtrit(dofs, 0.025))


def moderate_components(
    components: Mapping[str, VarianceComponent], pairs: Mapping[str, int], unpooled: Collection[str] = ()
) -> dict[str, VarianceComponent]:
    """Moderate the variance of each arm by those of the other arms of its block.

    The prior is the bias-corrected geometric mean of the others' variances, which an outlier changes less than a mean.

    Parameters
    ----------
    components
        The estimate of each arm by itself.
    pairs
        Number of pairs of runs of each arm; an error from more pairs is scaled to fewer.
    unpooled
        Arms that don't contribute to the prior of others.
    """
    contributing = {arm: component for arm, component in components.items() if arm not in unpooled}
    return {
        arm: _moderate_component(arm, {**contributing, arm: component}, pairs) for arm, component in components.items()
    }


def _moderate_component(
    arm: str, components: Mapping[str, VarianceComponent], pairs: Mapping[str, int]
) -> VarianceComponent:
    own = components[arm]
    others = [
        (c.error2 * _repeats(c, pairs[name]) / _repeats(own, pairs[arm]), c.dof)
        for name, c in components.items()
        if name != arm and c.dof > 0 and c.error2 > 0 and c.with_images == own.with_images
    ]
    if not others:
        return own
    error2, dof = moderate_variance(own.error2, own.dof, *np.array(others).T)
    return VarianceComponent(float(error2), float(dof), own.with_images)


def moderate_variance(
    error2: AnyArray | float, dof: AnyArray | float, others2: AnyArray, dofs: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Moderate squared errors by those of other arms; return them with their degrees of freedom.

    Parameters
    ----------
    error2, dof
        Of the arms themselves, ``(...)``.
    others2, dofs
        Of the others, scaled to the same number of repeats, ``(..., others)``, above 0.
    """
    logs = np.log(others2) - (digamma(dofs / 2) - np.log(dofs / 2))
    weight = prior_dof(dofs)
    total = dof + weight
    return (dof * np.asarray(error2) + weight * np.exp(logs.mean(axis=-1))) / total, total


def _repeats(component: VarianceComponent, pairs: int) -> float:
    """Return the number that an error is inversely proportional to: of folds, if it is theirs, else of pairs."""
    return component.dof + 1 if component.with_images else pairs


def prior_dof(dofs: AnyArray) -> AnyArray:
    """Return the degrees of freedom of the prior that the other arms of a block give.

    They are those of a chi-square whose logarithm is as uncertain as the mean of the others, reduced because all arms
    share one baseline.

    Parameters
    ----------
    dofs
        ``(..., others)``, above 0.
    """
    others = dofs.shape[-1]
    uncertainty = polygamma(1, dofs / 2).mean(axis=-1) / others
    return 2 * _inverse_trigamma(uncertainty) / (1 + SHARED * (others - 1))


def _inverse_trigamma(values: AnyArray) -> AnyArray:
    """Solve trigamma(y) = value for y above 0, by Newton's steps on the reciprocal, which is nearly straight."""
    y = 0.5 + 1 / np.asarray(values)
    for _ in range(_NEWTON_STEPS):
        trigamma = polygamma(1, y)
        y = y + trigamma * (1 - trigamma / values) / polygamma(2, y)
    return y
