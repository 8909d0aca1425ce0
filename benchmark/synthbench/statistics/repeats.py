"""How far repeated training alone moves a difference: the part of its uncertainty that few seeds make hard to know.

A bootstrap over few seeds is too narrow: over three it gives their range at best, which holds the truth in 75 % of
cases where 95 % is said. So the seed level isn't resampled: its mean square is estimated beside that of the images, as
in studies of many readers and many cases (Obuchowski & Rockette 1995; degrees of freedom after Hillis 2007,
doi:10.1002/sim.2532). The arms of one cell lend each other their spread, the more so the more they are
(a moderated t, Smyth 2004, doi:10.2202/1544-6115.1027; the prior's weight is set by the number of arms, not fitted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import digamma, polygamma

SHARED = 0.25
"""Squared correlation of two arms' differences from the same baseline, when all runs vary alike."""


@dataclass(frozen=True)
class Spread:
    """Squared standard error of a mean difference over repeated training, and its degrees of freedom.

    `with_residual`: it holds the chance that belongs to one training and one image together, as the spread over seeds
    does.
    """

    error2: float
    freedom: float
    with_residual: bool = True


def measure(pairs: pd.DataFrame, difference: np.ndarray, image_variance: np.ndarray) -> Spread:
    """Estimate how repeated training moves the mean difference of one arm.

    Parameters
    ----------
    pairs
        One row per pair of runs: ``fold``, ``generator_seed``, ``seed``.
    difference
        ``(pairs,)``, score of the arm's run minus score of the baseline's.
    image_variance
        ``(pairs,)``, the variance of each difference over resampled images; taken off the spread between folds, whose
        test images differ.

    Returns
    -------
    Spread
        With `freedom` 0 where nothing was repeated. With several folds, the larger of what folds and what seeds show.
    """
    folds = pairs["fold"].to_numpy()
    names = sorted(set(folds), key=str)
    parts = [_within(pairs[folds == f], difference[folds == f]) for f in names]
    freedom = sum(p.freedom for p in parts)
    seeds = Spread(sum(p.error2 for p in parts) / len(names) ** 2, freedom)
    if len(names) == 1:
        return seeds
    means = np.array([difference[folds == f].mean() for f in names])
    images = np.mean([image_variance[folds == f].mean() for f in names])
    between = Spread(max(float(means.var(ddof=1) - images), 0.0) / len(names), len(names) - 1, with_residual=False)
    return seeds if seeds.freedom and seeds.error2 > between.error2 else between


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


def joint_freedom(image2: float, images: int, spread: Spread) -> float:
    """Return the degrees of freedom of a standard error that has both parts.

    Welch–Satterthwaite takes the training's share of the variance for known, and with two seeds covers the truth in
    90 % of cases where 95 % is said, because that share comes out small by chance. Counting it 1 + 5/ν times, chosen
    by simulation, brings that to 94 to 97 % for 2, 3 and 10 seeds, whatever the shares (docs/statistics.md).
    """
    training2 = spread.error2 * (1 + 5 / spread.freedom)
    parts = training2**2 / spread.freedom + image2**2 / max(images - 1, 1)
    return (training2 + image2) ** 2 / parts


def _within(pairs: pd.DataFrame, difference: np.ndarray) -> Spread:
    """Add up the levels that were repeated: segmenter seeds, and generator seeds where they cross them."""
    values = pd.Series(difference, index=pairs.index)
    levels = [values.groupby(pairs["seed"]).mean()]
    if pairs.groupby("seed")["generator_seed"].nunique().max() > 1:
        levels.append(values.groupby(pairs["generator_seed"]).mean())
    errors = [(float(means.var(ddof=1)) / len(means), len(means) - 1) for means in levels if len(means) > 1]
    total = sum(error2 for error2, _ in errors)
    if not total:
        return Spread(0.0, sum(freedom for _, freedom in errors))
    welch = total**2 / sum(error2**2 / freedom for error2, freedom in errors)
    return Spread(total, welch)


def lend(own: Mapping[str, Spread], pairs: Mapping[str, int]) -> dict[str, Spread]:
    """Moderate each arm's spread by that of the other arms of its cell.

    The prior is the geometric mean of the others' variances, freed of bias: a wild arm moves it less than a mean.

    Parameters
    ----------
    own
        What each arm shows by itself.
    pairs
        Pairs of runs of each arm; an error found on more pairs is scaled to fewer.
    """
    return {arm: _moderate(arm, own, pairs) for arm in own}


def _moderate(arm: str, own: Mapping[str, Spread], pairs: Mapping[str, int]) -> Spread:
    mine = own[arm]
    others = [
        (s.error2 * pairs[name] / pairs[arm], s.freedom)
        for name, s in own.items()
        if name != arm and s.freedom > 0 and s.error2 > 0
    ]
    if not others:
        return mine
    freedoms = np.array([freedom for _, freedom in others])
    logs = np.log([error2 for error2, _ in others]) - (digamma(freedoms / 2) - np.log(freedoms / 2))
    prior = float(np.exp(logs.mean()))
    weight = prior_freedom(freedoms)
    freedom = mine.freedom + weight
    return Spread((mine.freedom * mine.error2 + weight * prior) / freedom, freedom, mine.with_residual)


def prior_freedom(freedoms: np.ndarray) -> float:
    """Return the degrees of freedom that the other arms of a cell lend to one, from their own, ``(arms,)``.

    Those of a chi-square whose logarithm is as uncertain as the mean of theirs, made fewer because all arms share one
    baseline.
    """
    from scipy.optimize import brentq

    noise = float(np.mean(polygamma(1, freedoms / 2))) / len(freedoms)
    return 2 * brentq(lambda half: float(polygamma(1, half)) - noise, 1e-3, 1e6) / (1 + SHARED * (len(freedoms) - 1))
