"""How many trainings a study that decides will take, before it is run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.statistics.group_sequential import looks_up_to
from synthbench.statistics.noise import BASELINE_SHARE, Noise
from synthbench.statistics.sequential_decisions import (
    ALPHA,
    HOPELESS,
    Estimates,
    Evidence,
    add_look,
    chance_of_decision,
    no_evidence,
)
from synthbench.statistics.variance_components import combined_dof
from synthbench.types import AnyArray

__all__ = ["EFFECTS", "ExpectedTrainings", "expected_trainings"]

EFFECTS = 2.0
"""Standard deviation of the true differences that arms are assumed to have, in units of the margin."""

_BOARDS = 200
_TAG_BOARDS = 6


@dataclass(frozen=True)
class ExpectedTrainings:
    """Trainings of segmenters in one comparison.

    Attributes
    ----------
    expected, most : float
        On average over boards whose true differences have the standard deviation `EFFECTS` × margin, and if every arm
        gets the largest number of seeds; the baseline's are included.
    decided : float
        The share of the arms that is decided on average, 0 … 1.
    limit : float
        Half width of the interval that test images (and generators) leave open whatever the number of seeds: if it
        isn't below the margin, no arm can be shown to be within the margin.
    """

    expected: float
    most: float
    decided: float
    limit: float


def expected_trainings(
    noise: Noise, images: int, most: int, arms: int, margin: float, *, generator_seeds: int = 1, folds: int = 1
) -> ExpectedTrainings:
    """Simulate studies that decide, with this noise.

    Variances are taken as known up to their degrees of freedom, those of training pooled over the arms.

    Parameters
    ----------
    noise
        Of one pair of runs and one image.
    images
        Test images, or groups of them, over all folds; 2 or more.
    most
        The largest number of segmenter seeds, 2 or more.
    arms
        Arms that are compared with the baseline, 1 or more.
    margin
        See `synthbench.statistics.decide_arms`.
    generator_seeds, folds
        Per arm and segmenter seed.
    """
    from scipy.special import ndtri

    rng = np.random.default_rng((_TAG_BOARDS, _BOARDS))
    both2 = noise.training**2 + noise.residual**2 * folds / images
    base2, own2 = (part / folds for part in (BASELINE_SHARE * both2, (1 - BASELINE_SHARE) * both2 / generator_seeds))
    fixed2 = noise.image**2 / images
    if generator_seeds > 1 or folds > 1:
        fixed2 += (noise.generator**2 / generator_seeds + (noise.fold**2 if folds > 1 else 0.0)) / folds
    shape = (_BOARDS, arms)
    centre = rng.normal(0, EFFECTS * margin, shape) + rng.normal(0, np.sqrt(fixed2), shape)
    trained = rng.normal(0, np.sqrt(own2), (*shape, most)) - rng.normal(0, np.sqrt(base2), (_BOARDS, 1, most))
    looks = looks_up_to(most, arms)
    evidence, is_open, seeds = no_evidence(*shape), np.ones(shape, bool), np.zeros(shape, int)
    for look, count in enumerate(looks.seeds):
        seeds[is_open] = count
        value = np.where(is_open, centre + trained[:, :, :count].mean(axis=2), np.nan)
        seed2, seed_dof = (base2 + own2) / count, arms * (count - 1) if folds == 1 else folds - 1
        dof = combined_dof(fixed2, images - 1, seed2, seed_dof)
        parts = (np.full(shape, float(part)) for part in (fixed2, seed2, dof, seed_dof))
        estimates = Estimates(value, *parts)
        evidence = add_look(evidence, estimates, looks, look, margin)
        is_open &= ~_decided(evidence)
        is_open &= ~(chance_of_decision(estimates, looks, look, margin, is_open) < HOPELESS)
    spent = (seeds.sum(axis=1) * generator_seeds + seeds.max(axis=1)) * folds
    return ExpectedTrainings(
        float(spent.mean()),
        float((arms * generator_seeds + 1) * most * folds),
        float(_decided(evidence).mean()),
        float(-ndtri(ALPHA) * np.sqrt(fixed2)),
    )


def _decided(evidence: Evidence) -> AnyArray:
    direction, within = evidence.found()
    decided: AnyArray = (direction != 0) | within
    return decided
