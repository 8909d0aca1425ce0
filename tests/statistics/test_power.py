"""The smallest difference a design detects: checked by running such studies, and by hand."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from synthbench.statistics import PRIOR, Noise, compare, detectable, holm, pilot

make_images = runpy.run_path(str(Path(__file__).parents[1] / "leaderboard" / "frames.py"))["images"]


def test_many_images_and_no_noise_of_training_is_the_textbook_case() -> None:
    """(1.960 + 0.842) standard errors, for 80 % power at 5 %."""
    found = detectable(Noise(0.1, 0.0, ""), images=10_000, pairs=1, arms=1)
    assert found == pytest.approx(2.802 * 0.1 / 100, rel=1e-3)


def test_power_is_that_of_the_noncentral_t() -> None:
    noise = Noise(0.0, 0.02, "")
    found = detectable(noise, images=50, pairs=3, arms=1, power=0.9)
    shift, limit = found / (0.02 / np.sqrt(3)), stats.t.ppf(1 - 0.05 / 2, 2)
    assert stats.nct.sf(limit, 2, shift) == pytest.approx(0.9, abs=0.01)


def test_it_falls_with_images_and_pairs_and_rises_with_arms() -> None:
    base = detectable(PRIOR, images=50, pairs=3, arms=3)
    assert detectable(PRIOR, images=200, pairs=3, arms=3) < base
    assert detectable(PRIOR, images=50, pairs=9, arms=3) < base
    assert detectable(PRIOR, images=50, pairs=3, arms=6) > base


def test_the_share_of_studies_that_find_it_is_the_power() -> None:
    """Whole studies with that very difference, judged as a leaderboard judges them."""
    noise = {"image_spread": 0.03, "effect_spread": 0.06, "seed_spread": 0.006}
    cell = {"segmenters": ("unet",), "ious": (0.5,), "count": 40, "seeds": 3}
    pilots = [pilot(make_images({"real": 0.0, "real + g × 1": 0.02}, rng_seed=r, **cell, **noise)) for r in range(20)]
    mean = Noise(*(float(np.sqrt(np.mean([getattr(p, n) ** 2 for p in pilots]))) for n in ("image", "training")), "")
    smallest = detectable(mean, images=40, pairs=3, arms=1)
    hits = []
    for repeat in range(80):
        frame = make_images({"real": 0.0, "real + g × 1": smallest}, rng_seed=100 + repeat, **cell, **noise)
        differences = compare(frame, draws=500).differences
        hits.append(holm([d.p for d in differences.values()])[0] < 0.05)
    assert 0.65 <= np.mean(hits) <= 0.95


def test_a_pilot_of_one_seed_says_that_the_rest_is_assumed() -> None:
    one = {"segmenters": ("unet",), "ious": (0.5,), "seeds": 1}
    found = pilot(make_images(**one))
    assert found is not None
    assert "assumed" in found.source
    assert found.training == PRIOR.training
    assert pilot(make_images({"real": 0.0}, **one)) is None


def test_one_image_shows_nothing() -> None:
    assert np.isnan(detectable(PRIOR, images=1, pairs=3, arms=1))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"images": 0}, "images"), ({"pairs": 0}, "pairs"), ({"arms": 0}, "arms"), ({"power": 1.0}, "power")],
)
def test_numbers_that_cannot_be_used_are_named(wrong: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        detectable(PRIOR, **{"images": 50, "pairs": 3, "arms": 3, **wrong})
