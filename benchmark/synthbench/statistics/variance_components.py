"""How far repeated training alone moves a difference: the part of its uncertainty that few seeds make hard to know.

A bootstrap over few seeds is too narrow: over three it gives their range at best, which holds the truth in 75 % of
cases where 95 % is said. So the seed level isn't resampled: its mean square is estimated beside that of the images, as
in studies of many readers and many cases (Obuchowski & Rockette 1995; degrees of freedom after Hillis 2007,
doi:10.1002/sim.2532). The arms of one block lend each other their spread, the more so the more they are
(a moderated t, Smyth 2004, doi:10.2202/1544-6115.1027; the prior's weight is set by the number of arms, not fitted).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import digamma, polygamma

SHARED = 0.25
"""Squared correlation of two arms' differences from the same baseline, when all runs vary alike."""

_NEWTON_STEPS = 12


@dataclass(frozen=True)
class VarianceComponent:
    """Squared standard error of a mean difference over repeated training, and its degrees of freedom.

    `with_images`: it holds what test images do as well, as the spread over folds does whose images differ. `levels`:
    of a sum over segmenter seeds and generator seeds that cross them, both parts with their degrees of freedom.
    """

    error2: float
    dof: float
    with_images: bool = False
    levels: tuple[tuple[float, float], ...] = ()


def training_component(pairs: pd.DataFrame, difference: np.ndarray, by_fold: bool) -> VarianceComponent:
    """Estimate how repeated training moves the mean difference of one arm.

    With several folds it is the spread of their means: it holds all that differs between folds, seeds and test images
    included, and is known as well as their number allows. The seeds within folds would make it look better known than
    it is, as they say nothing of how folds differ.

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
    Spread
        With `dof` 0 where nothing was repeated.
    """
    folds = pd.Series(difference, index=pairs.index).groupby(pairs["fold"])
    if folds.ngroups > 1:
        means = folds.mean().to_numpy()
        return VarianceComponent(float(means.var(ddof=1)) / len(means), len(means) - 1, with_images=by_fold)
    return add_components(*(seed_component(pairs, difference, name) for name in ("seed", "generator_seed")))


def seed_component(pairs: pd.DataFrame, difference: np.ndarray, name: str) -> VarianceComponent:
    """Return the spread of the means over one kind of seeds; nothing where it wasn't repeated.

    Generator seeds count as repeated where they cross segmenter seeds, not where each has its own.
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


def sum_dof(errors2: Sequence[np.ndarray | float], dofs: Sequence[np.ndarray | float]) -> np.ndarray:
    """Return the degrees of freedom of a sum of squared errors, each with its own.

    Welch–Satterthwaite takes the shares for known. One that is known from two seeds comes out small by chance as often
    as not, and then lends the sum the many degrees of another: so each counts 1 + 5/ν times (see `combined_dof`).

    Parameters
    ----------
    errors2
        Each a number, or ``(studies,)``; the sum is above 0.
    dofs
        ν of each, above 0; infinite for what is known.
    """
    counted = [np.asarray(error2) * (1 + 5 / dof) for error2, dof in zip(errors2, dofs, strict=True)]
    doubt = np.sum([part**2 / dof for part, dof in zip(counted, dofs, strict=True)], axis=0)
    total2 = np.square(np.sum(counted, axis=0))
    return np.divide(total2, doubt, out=np.full(np.shape(total2), np.inf), where=doubt > 0)


def image_variance(drawn: np.ndarray, folds: pd.Series) -> float:
    """Return the variance of the mean difference over test images, without what belongs to single runs.

    Pairs of one fold share their images, so what two of them have in common is the images' doing.

    Parameters
    ----------
    drawn
        ``(draws, pairs)``, differences over resampled images.
    folds
        ``(pairs,)``; folds count alike.
    """
    total, names = 0.0, sorted(set(folds), key=str)
    for name in names:
        cov = np.atleast_2d(np.cov(drawn[:, (folds == name).to_numpy()], rowvar=False))
        count = len(cov)
        shared = cov[0, 0] if count == 1 else (cov.sum() - np.trace(cov)) / (count * (count - 1))
        total += max(float(shared), 0.0) / len(names) ** 2
    return total


def combined_dof(
    image2: np.ndarray | float, images: float, error2: np.ndarray | float, dof: np.ndarray | float
) -> np.ndarray:
    """Return the degrees of freedom of a standard error that has both parts.

    Welch–Satterthwaite takes the training's share of the variance for known, and with two seeds covers the truth in
    90 % of cases where 95 % is said, because that share comes out small by chance. Counting it 1 + 5/ν times, chosen
    by simulation, brings that to 94 to 97 % for 2, 3 and 10 seeds, whatever the shares (docs/statistics.md). With few
    images the same happens to theirs, so theirs are the most there are.

    Parameters
    ----------
    image2
        Squared standard error of other test images.
    images
        Its degrees of freedom, those of units that belong together; below 1 counts as 1.
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
    image2: np.ndarray | float,
    images: float,
    seeds: tuple[np.ndarray | float, np.ndarray | float],
    generators: tuple[np.ndarray | float, np.ndarray | float],
) -> np.ndarray:
    """Return the degrees of freedom of a standard error over test images, segmenter seeds and generator seeds.

    Two generator seeds that happen to be alike say little of how generators vary, and no weighting of degrees of
    freedom can make up for that: the half widths of the two parts' own intervals are added in squares instead (Howe
    1974), and the degrees are those whose interval is as wide.

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
def _t_squared() -> tuple[np.ndarray, np.ndarray]:
    """Return logarithms of degrees of freedom, and the square of Student's t that 95 % lie within at each."""
    from scipy.stats import t

    dofs = np.geomspace(1, 1e6, 2000)
    return np.log(dofs), np.square(t.isf(0.025, dofs))


def moderate_components(
    own: Mapping[str, VarianceComponent], pairs: Mapping[str, int], unpooled: Collection[str] = ()
) -> dict[str, VarianceComponent]:
    """Moderate each arm's spread by that of the other arms of its block.

    The prior is the geometric mean of the others' variances, freed of bias: a wild arm moves it less than a mean.

    Parameters
    ----------
    own
        What each arm shows by itself.
    pairs
        Pairs of runs of each arm; an error found on more pairs is scaled to fewer.
    unpooled
        Arms that lend nothing: they aren't taken to vary like the others.
    """
    lenders = {arm: spread for arm, spread in own.items() if arm not in unpooled}
    return {arm: _moderate_component(arm, {**lenders, arm: spread}, pairs) for arm, spread in own.items()}


def _moderate_component(arm: str, own: Mapping[str, VarianceComponent], pairs: Mapping[str, int]) -> VarianceComponent:
    mine = own[arm]
    others = [
        (s.error2 * _repeats(s, pairs[name]) / _repeats(mine, pairs[arm]), s.dof)
        for name, s in own.items()
        if name != arm and s.dof > 0 and s.error2 > 0 and s.with_images == mine.with_images
    ]
    if not others:
        return mine
    error2, dof = moderate_variance(mine.error2, mine.dof, *np.array(others).T)
    return VarianceComponent(float(error2), float(dof), mine.with_images)


def moderate_variance(
    error2: np.ndarray | float, dof: np.ndarray | float, others2: np.ndarray, dofs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared errors and their degrees of freedom, with what other arms lend them.

    Parameters
    ----------
    error2, dof
        Of the arms themselves, ``(...)``.
    others2, dofs
        Of the others, scaled to the same number of repeats, ``(..., others)``, above 0.
    """
    logs = np.log(others2) - (digamma(dofs / 2) - np.log(dofs / 2))
    weight = prior_dof(dofs)
    whole = dof + weight
    return (dof * np.asarray(error2) + weight * np.exp(logs.mean(axis=-1))) / whole, whole


def _repeats(spread: VarianceComponent, pairs: int) -> float:
    """Return what an error shrinks with: the number of folds, where it is theirs, else of pairs."""
    return spread.dof + 1 if spread.with_images else pairs


def prior_dof(dofs: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom that the other arms of a block lend to one, from their own.

    Those of a chi-square whose logarithm is as uncertain as the mean of theirs, made fewer because all arms share one
    baseline.

    Parameters
    ----------
    dofs
        ``(..., others)``, above 0.
    """
    others = dofs.shape[-1]
    noise = polygamma(1, dofs / 2).mean(axis=-1) / others
    return 2 * _inverse_trigamma(noise) / (1 + SHARED * (others - 1))


def _inverse_trigamma(values: np.ndarray) -> np.ndarray:
    """Solve trigamma(y) = value for y above 0, by Newton's steps on the reciprocal, which is nearly straight."""
    y = 0.5 + 1 / np.asarray(values)
    for _ in range(_NEWTON_STEPS):
        trigamma = polygamma(1, y)
        y = y + trigamma * (1 - trigamma / values) / polygamma(2, y)
    return y
