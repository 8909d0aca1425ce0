"""Repeated looks at a difference while trainings are added: what a p-value at one of them is worth in all of them.

After k seeds a mean difference has the variance F + T / k: F is due to what more seeds don't change, the test images
(and the generators), T to training with one seed. The estimates of different looks then have the joint distribution of
group-sequential tests: for j < k their covariance is the variance at k, so that information grows from one look to the
next by independent increments (Jennison & Turnbull 2000, *Group Sequential Methods*, chapter 3), and ends at 1 / F
however many seeds follow. The larger F, the more alike the looks, and the less a further look costs.

The error probability is spent with the square of the share of the information that is reached (spending functions:
Lan & DeMets 1983, doi:10.1093/biomet/70.3.659; the power family: Kim & DeMets 1987, doi:10.1093/biomet/74.1.149). The
boundaries are found by numerical integration (Armitage, McPherson & Rowe 1969). A t test enters by its p-value: the
nominal level of a boundary is that of a normal statistic, and is compared with Student's p (Jennison & Turnbull, §3.8).

The smallest level at which a boundary is crossed at one of the looks so far is a p-value that is valid whenever one
stops, for whatever reason (sequential p-value, Liu & Anderson 2008, doi:10.1198/016214508000000986); Holm's rule holds
for several of them (Ye, Li, Liu & Yao 2013, doi:10.1002/sim.5700).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, roots_legendre

from synthbench.types import AnyArray

__all__ = ["FEWEST_DOF", "FIRST_LOOK", "Looks", "looks_up_to"]

FIRST_LOOK = 2
"""Seeds at the first look, or more: with fewer, training isn't repeated."""

FEWEST_DOF = 4
"""Degrees of freedom of the variance of training at the first look: with fewer, a t test of a strict level finds too
much in the sum of two variances (docs/deciding.md)."""

_RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_LEVELS = np.geomspace(1e-8, 0.5, 60)
_NODES = 200
_LOWEST = -6.5
_BISECTIONS = 45


def looks_up_to(most: int, arms: int) -> Looks:
    """Return the looks of a comparison with at most so many seeds: at 2, 3, 4 … 8, 10, 12, 15, each a quarter later.

    The first is the first at which the variance of training, pooled over the arms, has four degrees of freedom: at two
    seeds with four arms or more, at three with two or three arms, at five with one.

    Parameters
    ----------
    most
        The largest number of seeds, 2 or more.
    arms
        Number of arms that are compared with the baseline, 1 or more.

    Raises
    ------
    ValueError
        If a number is too small.
    """
    if most < FIRST_LOOK or arms < 1:
        raise ValueError(f"most: {most}, arms: {arms}; expected at least {FIRST_LOOK} seeds and 1 arm")
    seeds = [min(max(FIRST_LOOK, 1 + -(-FEWEST_DOF // arms)), most)]
    while seeds[-1] < most:
        seeds.append(min(seeds[-1] + max(1, seeds[-1] // 4), most))
    return Looks(tuple(seeds))


@dataclass(frozen=True)
class Looks:
    """The looks of a study.

    Attributes
    ----------
    seeds : tuple of int
        Seeds at each look, rising.
    """

    seeds: tuple[int, ...]

    def overall(self, nominal: AnyArray, look: int, ratio: AnyArray) -> AnyArray:
        """Return the level of the whole sequence of looks at which a one-sided p-value at one look is on the boundary.

        Parameters
        ----------
        nominal
            p-values, 0 … 1; NaN stays NaN.
        look
            Its number, from 0.
        ratio
            F / (F + T), 0 … 1: the share of the variance with one seed that more seeds don't change; of the shape of
            `nominal`. A lower value is conservative.

        Returns
        -------
        ndarray
            1e-8 … 1; 1 above one half.
        """
        levels = np.full(np.shape(nominal), np.nan)
        for at, of_ratio in self._by_ratio(ratio):
            own = np.log(np.maximum(np.asarray(nominal)[at], 1e-300))
            levels[at] = np.exp(np.interp(own, of_ratio[look], np.log(_LEVELS), right=0.0))
        return np.where(np.isnan(nominal), np.nan, levels)

    def nominal(self, level: float, look: int, ratio: AnyArray) -> AnyArray:
        """Return the one-sided p-value that is on the boundary at one look; the inverse of `overall`.

        Parameters
        ----------
        level
            Of the whole sequence of looks, one-sided, 1e-8 … 0.5.
        look, ratio
            As in `overall`.
        """
        nominal = np.full(np.shape(ratio), np.nan)
        for at, of_ratio in self._by_ratio(ratio):
            nominal[at] = np.exp(np.interp(np.log(level), np.log(_LEVELS), of_ratio[look]))
        return nominal

    def _by_ratio(self, ratio: AnyArray) -> list[tuple[AnyArray, AnyArray]]:
        """Return the places of each tabulated ratio, rounded down, and its table ``(looks, levels)``."""
        index = np.searchsorted(_RATIOS, np.nan_to_num(np.asarray(ratio, float)) + 1e-12, side="right") - 1
        return [(index == one, _log_nominal_levels(self.seeds, _RATIOS[one])) for one in np.unique(index)]


@lru_cache(maxsize=256)
def _log_nominal_levels(seeds: tuple[int, ...], ratio: float) -> AnyArray:
    """Return the logarithm of the nominal one-sided level of each look at each of `_LEVELS`, ``(looks, levels)``.

    The density of the statistic among the paths that have crossed no boundary is carried from look to look, on
    Gauss–Legendre nodes below the boundary.
    """
    information = 1 / (ratio + (1 - ratio) / np.asarray(seeds, float))
    spent = _LEVELS[:, None] * np.square(information / information[-1])
    nodes, weights = roots_legendre(_NODES)
    out = np.empty((len(seeds), len(_LEVELS)))
    z = density = None
    for look, own in enumerate(information):
        if z is None or density is None:
            bound = -ndtri(spent[:, 0])
        else:
            increment = np.sqrt(own - information[look - 1])
            start = z * np.sqrt(information[look - 1])
            mass = density * (bound - _LOWEST)[:, None] / 2 * weights
            bound = _solve(start, mass, np.sqrt(own), increment, spent[:, look] - spent[:, look - 1])
        at = _LOWEST + (bound - _LOWEST)[:, None] * (nodes + 1) / 2
        if z is None or density is None:
            density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
        else:
            steps = (at[:, :, None] * np.sqrt(own) - start[:, None, :]) / increment
            kernel = np.exp(-(steps**2) / 2) * np.sqrt(own / (2 * np.pi)) / increment
            density = np.einsum("lij,lj->li", kernel, mass)
        z = at
        out[look] = log_ndtr(-bound)
    return out


def _solve(start: AnyArray, mass: AnyArray, scale: float, increment: float, spend: AnyArray) -> AnyArray:
    """Return the boundaries that paths cross first at this look with the probabilities `spend`, ``(levels,)``."""
    low, high = np.full(len(spend), -3.0), np.full(len(spend), 9.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        crossed = (ndtr((start - middle[:, None] * scale) / increment) * mass).sum(axis=1)
        low, high = np.where(crossed > spend, middle, low), np.where(crossed > spend, high, middle)
    bounds: AnyArray = (low + high) / 2
    return bounds
