"""Means over datasets and segmenters are means of the blocks' differences, and their intervals cover the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import frames
from synthbench.errors import ConfigError
from synthbench.statistics import compare, compare_over_blocks

EFFECTS = {"real": 0.0, "real + good × 50": 0.03, "real + bad × 50": -0.12}


def block(segmenter: str = "unet", effects: dict[str, float] = EFFECTS, **choices: object) -> pd.DataFrame:
    return frames.images(effects, segmenters=(segmenter,), ious=(0.5,), **choices)  # type: ignore[arg-type]


def test_of_one_block_it_is_the_comparison_of_the_block() -> None:
    images = block()
    alone, mean = compare(images, draws=500), compare_over_blocks({"d": [images]}, draws=500)
    for arm, expected in alone.differences.items():
        found = mean.differences[arm]
        assert (found.value, found.low, found.high, found.p) == pytest.approx(
            (expected.value, expected.low, expected.high, expected.p)
        )
    pd.testing.assert_frame_equal(alone.ranks(), mean.ranks())


def test_the_value_is_the_mean_over_datasets_of_the_mean_over_blocks() -> None:
    first = [block("unet", rng_seed=1), block("stardist", rng_seed=2)]
    second = [block("unet", rng_seed=3)]
    found = compare_over_blocks({"a": first, "b": second}, draws=200)
    for arm in list(EFFECTS)[1:]:
        by_hand = [frames.f1_by_hand(each, arm) - frames.f1_by_hand(each, "real") for each in (*first, *second)]
        assert found.differences[arm].value == pytest.approx((np.mean(by_hand[:2]) + by_hand[2]) / 2)


def test_segmenters_share_their_test_images_and_datasets_do_not() -> None:
    """Twice the same block says no more than once; two independent datasets say more."""
    images, other = block(rng_seed=1, seeds=6, seed_spread=0.0), block(rng_seed=2, seeds=6, seed_spread=0.0)
    arm = "real + good × 50"

    def width(datasets: dict[str, list[pd.DataFrame]]) -> float:
        found = compare_over_blocks(datasets, draws=4000).differences[arm]
        return found.high - found.low

    once = width({"a": [images]})
    assert width({"a": [images, images]}) == pytest.approx(once)
    both = [width({"a": [images]}), width({"b": [other]})]
    assert width({"a": [images], "b": [other]}) == pytest.approx(np.hypot(*both) / 2, rel=0.05)


def test_an_arm_that_lacks_a_block_has_no_mean() -> None:
    fewer = block(effects={"real": 0.0, "real + good × 50": 0.03})
    found = compare_over_blocks({"a": [block()], "b": [fewer]}, draws=200)
    assert np.isnan(found.differences["real + bad × 50"].value)
    assert set(found.ranks()["arm"]) == {"real", "real + good × 50"}


def test_without_a_block_there_is_no_mean() -> None:
    with pytest.raises(ConfigError, match="no comparison block"):
        compare_over_blocks({})
    with pytest.raises(ConfigError, match="no comparison block"):
        compare_over_blocks({"a": []})


@pytest.mark.slow
def test_intervals_cover_the_true_mean() -> None:
    """The truth is 0: datasets and segmenters differ by noise of images, of arm × image and of training."""
    covered, studies = 0, 120
    for study in range(studies):
        datasets = {
            name: [
                block(
                    segmenter,
                    {"real": 0.0, "real + none × 50": 0.0},
                    count=25,
                    image_spread=0.04,
                    effect_spread=0.03,
                    seed_spread=0.01,
                    rng_seed=1000 * study + 10 * place + number,
                )
                for number, segmenter in enumerate(("unet", "stardist"))
            ]
            for place, name in enumerate("ab")
        }
        found = compare_over_blocks(datasets, draws=400, seed=study).differences["real + none × 50"]
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / studies <= 1.0
