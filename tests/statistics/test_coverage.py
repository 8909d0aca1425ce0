"""Intervals hold the truth, and false alarms come, as often as is said: with two seeds as well as with ten."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.crossed import images as make_crossed
from helpers.frames import images as make_images
from synthbench.statistics import compare, holm


def studies(effect: float, arms: int, seeds: int, training: float, images: float, repeats: int) -> tuple[float, float]:
    """Return the share of intervals that hold the effect, and of studies in which some arm is called different."""
    effects = {"real": 0.0} | {f"real + g{i} × 1": effect for i in range(arms)}
    held, found = [], []
    for repeat in range(repeats):
        frame = make_images(
            effects,
            segmenters=("unet",),
            ious=(0.5,),
            seeds=seeds,
            image_spread=0.03,
            effect_spread=images,
            seed_spread=training,
            rng_seed=repeat,
        )
        differences = compare(frame, draws=1000, seed=repeat).differences.values()
        held += [d.low <= effect <= d.high for d in differences]
        found.append(min(holm([d.p for d in differences])) < 0.05)
    return float(np.mean(held)), float(np.mean(found))


def chance(repeats: int) -> float:
    """Return by how much a share of 5 % or 95 % may be off in so many studies, once in a hundred."""
    return 2.6 * float(np.sqrt(0.05 * 0.95 / repeats))


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "training", "images"), [(2, 0.006, 0.03), (2, 0.02, 0.02), (10, 0.006, 0.03)])
def test_intervals_cover(seeds: int, training: float, images: float) -> None:
    held, _ = studies(0.02, 1, seeds, training, images, 250)
    assert abs(held - 0.95) <= chance(250)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 10])
def test_without_an_effect_alarms_are_as_rare_as_is_said(seeds: int) -> None:
    """One in twenty studies, whatever the number of arms; within chance."""
    _, alarms = studies(0.0, 3, seeds, 0.006, 0.03, 150)
    assert alarms <= 0.05 + chance(150)


def judged(effect: float, repeats: int, **study: object) -> tuple[float, float]:
    """Return the share of intervals that hold the effect, and of those that lie beside zero."""
    held, found = [], []
    for repeat in range(repeats):
        frame = make_crossed(effect, rng_seed=repeat, **study)
        difference = compare(frame, draws=1000, seed=repeat).differences["real + g × 1"]
        held.append(difference.low <= effect <= difference.high)
        found.append(difference.p < 0.05)
    return float(np.mean(held)), float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize("fold_spread", [0.0, 0.02])
def test_intervals_cover_whether_or_not_folds_differ(fold_spread: float) -> None:
    held, _ = judged(0.02, 300, folds=3, seeds=3, count=10, fold_spread=fold_spread)
    assert abs(held - 0.95) <= chance(300)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_few_images_give_no_more_alarms_than_many(count: int) -> None:
    """Two images gave one in three where they counted as many; within chance."""
    _, alarms = judged(0.0, 250, seeds=2, count=count, seed_spread=0.0)
    assert alarms <= 0.05 + chance(250)


@pytest.mark.slow
@pytest.mark.parametrize(("generators", "seeds", "spread"), [(2, 10, 0.04), (2, 5, 0.05), (3, 10, 0.02)])
def test_two_generators_that_happen_to_be_alike_decide_nothing(generators: int, seeds: int, spread: float) -> None:
    """They were called different in 13 % of studies where many segmenter seeds lent them their degrees of freedom."""
    held, alarms = judged(
        0.0, 250, generator_seeds=generators, seeds=seeds, count=30, generator_spread=spread, seed_spread=0.004
    )
    assert held >= 0.95 - chance(250)
    assert alarms <= 0.05 + chance(250)
