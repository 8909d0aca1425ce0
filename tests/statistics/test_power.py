"""The smallest difference a design detects: checked by running such studies, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.crossed import images as make_crossed
from helpers.frames import images as make_images
from synthbench.errors import ConfigError
from synthbench.statistics import PRIOR, Noise, compare, estimate_noise, holm, minimum_detectable_effect

PARTS = ("image", "training", "generator", "residual", "fold")


def mean_of(pilots: list[Noise]) -> Noise:
    """Return what many pilots say on average, so that a test isn't of one pilot's luck."""
    return Noise(
        source="", **{name: float(np.sqrt(np.mean([getattr(p, name) ** 2 for p in pilots]))) for name in PARTS}
    )


def test_many_images_and_no_noise_of_training_is_the_textbook_case() -> None:
    """(1.960 + 0.842) standard errors, for 80 % power at 5 %."""
    found = minimum_detectable_effect(Noise(0.1, 0.0, ""), images=10_000, seeds=2, arms=1)
    assert found == pytest.approx(2.802 * 0.1 / 100, rel=1e-3)


@pytest.mark.parametrize(
    ("design", "error2", "dof"),
    [
        ({"images": 50, "seeds": 3}, 0.02**2 / 3, 2),
        ({"images": 60, "seeds": 2, "folds": 3}, 0.02**2 / 6, 2),
        ({"images": 60, "seeds": 2, "folds": 5}, 0.02**2 / 10, 4),
    ],
)
def test_power_is_that_of_the_noncentral_t(design: dict[str, int], error2: float, dof: int) -> None:
    """Seeds, and folds whatever their seeds, count with their number less one."""
    found = minimum_detectable_effect(Noise(0.0, 0.02, ""), **design, arms=1, power=0.9)
    shift, limit = found / np.sqrt(error2), stats.t.ppf(1 - 0.05 / 2, dof)
    assert stats.nct.sf(limit, dof, shift) == pytest.approx(0.9, abs=0.01)


def test_it_falls_with_images_and_repeats_and_rises_with_arms() -> None:
    base = minimum_detectable_effect(PRIOR, images=50, seeds=3, arms=3)
    assert minimum_detectable_effect(PRIOR, images=200, seeds=3, arms=3) < base
    assert minimum_detectable_effect(PRIOR, images=50, seeds=9, arms=3) < base
    assert minimum_detectable_effect(PRIOR, images=50, seeds=3, arms=6) > base
    crossed = {"images": 50, "seeds": 3, "arms": 3}
    assert minimum_detectable_effect(PRIOR, **crossed, generator_seeds=6) < minimum_detectable_effect(
        PRIOR, **crossed, generator_seeds=3
    )
    assert minimum_detectable_effect(PRIOR, **crossed, folds=5) < minimum_detectable_effect(PRIOR, **crossed, folds=3)


def test_three_by_three_seeds_are_fewer_than_nine() -> None:
    """The generator's noise is averaged over three, and the baseline's too."""
    noise = Noise(0.05, 0.01, "", generator=0.02)
    nine = minimum_detectable_effect(noise, images=50, seeds=9, arms=1)
    assert minimum_detectable_effect(noise, images=50, seeds=3, arms=1, generator_seeds=3) > 1.5 * nine


def test_the_share_of_studies_that_find_it_is_the_power() -> None:
    """Whole studies with that very difference, judged as a leaderboard judges them."""
    noise = {"image_spread": 0.03, "effect_spread": 0.06, "seed_spread": 0.006}
    cell = {"segmenters": ("unet",), "ious": (0.5,), "count": 40, "seeds": 3}
    pilots = [
        estimate_noise(make_images({"real": 0.0, "real + g × 1": 0.02}, rng_seed=r, **cell, **noise)) for r in range(20)
    ]
    smallest = minimum_detectable_effect(mean_of(pilots), images=40, seeds=3, arms=1)
    hits = []
    for repeat in range(80):
        frame = make_images({"real": 0.0, "real + g × 1": smallest}, rng_seed=100 + repeat, **cell, **noise)
        differences = compare(frame, draws=1000, seed=repeat).differences
        hits.append(holm([d.p for d in differences.values()])[0] < 0.05)
    assert 0.65 <= np.mean(hits) <= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("arms", [1, 3])
def test_power_holds_where_generator_seeds_cross_segmenter_seeds(arms: int) -> None:
    truth = {"generator_spread": 0.02, "seed_spread": 0.02, "count": 40}
    pilots = [estimate_noise(make_crossed(0.0, 3, 3, rng_seed=r, arms=arms, **truth), draws=300) for r in range(100)]
    smallest = minimum_detectable_effect(mean_of(pilots), images=40, seeds=3, arms=arms, generator_seeds=3)
    hits = []
    for repeat in range(200):
        frame = make_crossed(smallest, 3, 3, rng_seed=1000 + repeat, arms=arms, only_first=True, **truth)
        differences = compare(frame, draws=2000, seed=repeat).differences
        adjusted = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
        hits.append(adjusted["real + g × 1"] < 0.05)
    assert 0.72 <= np.mean(hits) <= 0.9


# -- pilots ---------------------------------------------------------------------------------------------------------


def test_a_crossed_pilot_tells_the_parts_of_the_noise_apart() -> None:
    truth = {"generator_spread": 0.03, "seed_spread": 0.01, "count": 40, "effect_spread": 0.05}
    found = mean_of([estimate_noise(make_crossed(0.0, 4, 4, rng_seed=r, **truth), draws=200) for r in range(25)])
    assert found.generator == pytest.approx(0.03, rel=0.2)
    assert found.training == pytest.approx(0.01 * np.sqrt(2), rel=0.3)
    assert found.image == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(
    ("generator_seeds", "seeds", "assumed"),
    [
        (1, 1, "that of training is assumed"),
        (1, 3, "that of generator seeds is assumed"),
        (3, 1, "that of segmenter seeds is assumed"),
        (3, 3, ""),
    ],
)
@pytest.mark.parametrize("folds", [1, 2])
def test_what_a_pilot_cannot_tell_is_assumed_and_said(
    generator_seeds: int, seeds: int, assumed: str, folds: int
) -> None:
    parts = [make_crossed(0.02, generator_seeds, seeds, rng_seed=f) for f in range(folds)]
    frame = pd.concat([p.assign(fold=f, image=f"{f}-" + p["image"]) for f, p in enumerate(parts)], ignore_index=True)
    found = estimate_noise(frame, draws=200)
    assert found is not None
    assert found.source == "; ".join(["1 arm", *([assumed] if assumed else [])])
    assert all(0 <= getattr(found, name) < 0.5 for name in PARTS)
    for design in ({"seeds": 2}, {"seeds": 3}, {"seeds": 2, "generator_seeds": 3}, {"seeds": 1, "folds": 2}):
        assert 0 < minimum_detectable_effect(found, images=40, arms=2, **design) < 1


def test_a_pilot_of_one_seed_takes_the_priors_noise_of_training() -> None:
    one = {"segmenters": ("unet",), "ious": (0.5,), "seeds": 1}
    found = estimate_noise(make_images(**one))
    assert found is not None
    assert (found.training, found.generator) == (PRIOR.training, PRIOR.generator)
    assert estimate_noise(make_images({"real": 0.0}, **one)) is None
    with pytest.raises(ConfigError, match="baseline 'reel' is not among the arms"):
        estimate_noise(make_images(**one), "reel")


# -- what it refuses ------------------------------------------------------------------------------------------------


def test_one_seed_finds_nothing_however_large() -> None:
    """Without folds, whose trainings are repeats; generator seeds are none of the segmenter."""
    assert np.isinf(minimum_detectable_effect(PRIOR, images=1000, seeds=1, arms=1))
    assert np.isinf(minimum_detectable_effect(PRIOR, images=1000, seeds=1, arms=1, generator_seeds=3))
    assert minimum_detectable_effect(PRIOR, images=1000, seeds=1, arms=1, folds=5) < 1


def test_one_image_shows_nothing() -> None:
    assert np.isnan(minimum_detectable_effect(PRIOR, images=1, seeds=3, arms=1))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"images": 0}, "images"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": np.nan}, "seeds"),
        ({"arms": 0}, "arms"),
        ({"generator_seeds": 0}, "generator_seeds"),
        ({"folds": -1}, "folds"),
        ({"power": 1.0}, "power"),
        ({"power": np.nan}, "power"),
        ({"noise": Noise(np.nan, 0.01, "")}, "image is nan"),
        ({"noise": Noise(0.1, -0.01, "")}, "training is -0.01"),
        ({"noise": Noise(0.1, 0.01, "", generator=np.inf)}, "generator is inf"),
    ],
)
def test_numbers_that_cannot_be_used_are_named(wrong: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        minimum_detectable_effect(**{"noise": PRIOR, "images": 50, "seeds": 3, "arms": 3, **wrong})  # type: ignore[arg-type]
