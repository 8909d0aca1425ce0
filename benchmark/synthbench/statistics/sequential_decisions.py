"""Which arms are decided: better, worse, or within a margin of the baseline; and which no number of seeds will decide.

Two families of hypotheses are tested over the arms of a comparison, each by Holm's rule at 5 %: no difference
(two-sided), and a difference of at least the margin (two one-sided tests, Schuirmann 1987, doi:10.1007/BF01068419). All
p-values are sequential (`synthbench.statistics.group_sequential`), so that they hold whenever an arm is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.statistics.group_sequential import Looks
from synthbench.types import AnyArray

__all__ = ["ALPHA", "HOPELESS", "Estimates", "Evidence", "add_look", "chance_of_decision", "holm_rows", "no_evidence"]

ALPHA = 0.05
"""Family-wise error rate of each of the two kinds of verdict."""

HOPELESS = 0.1
"""Chance of a decision with the largest number of seeds below which an arm gets no more seeds."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """What is known of the differences of the arms at one look; arrays ``(..., arms)``, NaN for arms without this look.

    Attributes
    ----------
    value : ndarray
        The difference.
    fixed2 : ndarray
        The part of its squared standard error that more segmenter seeds don't change: test images, generators.
    seed2 : ndarray
        The part that shrinks with the number of seeds.
    dof : ndarray
        Degrees of freedom of the squared standard error.
    seed_dof : ndarray
        Degrees of freedom of `seed2`.
    """

    value: AnyArray
    fixed2: AnyArray
    seed2: AnyArray
    dof: AnyArray
    seed_dof: AnyArray

    @property
    def error(self) -> AnyArray:
        """The standard error."""
        error: AnyArray = np.sqrt(self.fixed2 + self.seed2)
        return error

    def ratio(self, seeds: int) -> AnyArray:
        """Return the share of the variance with one seed that more seeds don't change, 0 … 1.

        A part with few degrees of freedom is often small by chance, so it counts more (see
        `synthbench.statistics.variance_components.combined_dof`): a smaller share makes boundaries stricter.
        """
        one = self.fixed2 + self.seed2 * seeds * (1 + 5 / np.maximum(self.seed_dof, 1))
        return np.divide(self.fixed2, one, out=np.zeros(np.shape(one)), where=one > 0)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Sequential p-values of the looks so far, ``(..., arms)``; 1 before the first look.

    Attributes
    ----------
    above, below : ndarray
        One-sided, of a difference of at most 0, and of at least 0.
    above_margin, below_margin : ndarray
        One-sided, of a difference of at most −margin, and of at least the margin.
    """

    above: AnyArray
    below: AnyArray
    above_margin: AnyArray
    below_margin: AnyArray

    @property
    def different(self) -> AnyArray:
        """p-values of no difference, two-sided."""
        return np.minimum(2 * np.minimum(self.above, self.below), 1.0)

    @property
    def equivalent(self) -> AnyArray:
        """p-values of a difference of at least the margin."""
        return np.maximum(self.above_margin, self.below_margin)

    def found(self) -> tuple[AnyArray, AnyArray]:
        """Return which arms differ (1 better, −1 worse, 0 undecided) and which are within the margin, after Holm."""
        sign = np.where(self.above < self.below, 1, -1)
        differs = np.where(holm_rows(self.different) < ALPHA, sign, 0)
        return differs, holm_rows(self.equivalent) < ALPHA


def no_evidence(*shape: int) -> Evidence:
    """Return the evidence before the first look, of that shape; the arms are the last axis."""
    return Evidence(*(np.ones(shape) for _ in range(4)))


def add_look(evidence: Evidence, estimates: Estimates, looks: Looks, look: int, margin: float) -> Evidence:
    """Return the evidence with one look more.

    Parameters
    ----------
    evidence
        Of the looks before.
    estimates
        At this look; arms with NaN keep the evidence that they have.
    looks, look
        The looks, and the number of this one, from 0.
    margin
        Above 0, in units of the score.
    """
    from scipy.special import stdtr

    ratio = estimates.ratio(looks.seeds[look])
    error, dof = estimates.error, estimates.dof

    def new(before: AnyArray, null: float, side: int) -> AnyArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = side * (estimates.value - null) / error
        p = looks.overall(stdtr(dof, -t), look, ratio)
        return np.where(np.isnan(p), before, np.fmin(before, p))

    return Evidence(
        new(evidence.above, 0.0, 1),
        new(evidence.below, 0.0, -1),
        new(evidence.above_margin, -margin, 1),
        new(evidence.below_margin, margin, -1),
    )


def chance_of_decision(estimates: Estimates, looks: Looks, look: int, margin: float, open_arms: AnyArray) -> AnyArray:
    """Return the probability that each arm is decided by the last look, given its estimates at this one.

    The difference with all seeds is predicted from the one so far: it varies around it by the training that is still to
    come. It is compared with the boundaries of the last look, corrected by Bonferroni for the arms that are open. The
    variance of training may turn out smaller than it seems, so it counts less where it has few degrees of freedom.

    Parameters
    ----------
    estimates, looks, look, margin
        As in `add_look`.
    open_arms
        ``(..., arms)``, bool: the arms that aren't decided.

    Returns
    -------
    ndarray
        ``(..., arms)``, 0 … 1; NaN without estimates.
    """
    from scipy.special import ndtr, stdtrit

    seeds, most = looks.seeds[look], looks.seeds[-1]
    last = len(looks.seeds) - 1
    ratio = estimates.ratio(seeds)
    least2 = estimates.seed2 / (1 + 5 / np.maximum(estimates.seed_dof, 1))
    error = np.sqrt(estimates.fixed2 + least2 * seeds / most)
    spread = np.maximum(np.sqrt(estimates.seed2 * (1 - seeds / most)), 1e-12)
    counts = np.broadcast_to(np.maximum(open_arms.sum(axis=-1, keepdims=True), 1), np.shape(ratio))
    half = []
    for level in (ALPHA / 2, ALPHA):
        nominal = np.full(np.shape(ratio), np.nan)
        for count in np.unique(counts):
            at = counts == count
            nominal[at] = looks.nominal(level / count, last, ratio[at])
        half.append(stdtrit(estimates.dof * (most - 1) / (seeds - 1), 1 - nominal) * error)
    differs, within = half
    value = estimates.value
    chance = ndtr((value - differs) / spread) + ndtr((-differs - value) / spread)
    room = np.maximum(margin - within, 0.0)
    chance = chance + ndtr((room - value) / spread) - ndtr((-room - value) / spread)
    capped: AnyArray = np.minimum(chance, 1.0)
    return capped


def holm_rows(p: AnyArray) -> AnyArray:
    """Correct p-values along the last axis for multiple comparisons (Holm 1979).

    Parameters
    ----------
    p
        ``(..., arms)``, 0 … 1.
    """
    order = np.argsort(p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    corrected = np.empty(np.shape(p))
    np.put_along_axis(corrected, order, np.minimum(np.maximum.accumulate(ranked, axis=-1), 1.0), axis=-1)
    return corrected
