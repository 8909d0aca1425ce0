"""Intervals hold the truth, and false alarms come, as often as is said: with two seeds as well as with ten."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from synthbench.statistics import compare, holm

make_images = runpy.run_path(str(Path(__file__).parents[1] / "leaderboard" / "frames.py"))["images"]


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
        differences = compare(frame, draws=1000).differences.values()
        held += [d.low <= effect <= d.high for d in differences]
        found.append(min(holm([d.p for d in differences])) < 0.05)
    return float(np.mean(held)), float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "training", "images"), [(2, 0.006, 0.03), (2, 0.02, 0.02), (10, 0.006, 0.03)])
def test_intervals_cover(seeds: int, training: float, images: float) -> None:
    held, _ = studies(0.02, 1, seeds, training, images, 400)
    assert 0.93 <= held <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 10])
def test_without_an_effect_alarms_are_as_rare_as_is_said(seeds: int) -> None:
    """One in twenty studies, whatever the number of arms; within the chance of 300 studies."""
    _, alarms = studies(0.0, 3, seeds, 0.006, 0.03, 300)
    assert alarms <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)
