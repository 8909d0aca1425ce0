"""A gain is read off the learning curve of real data, with an interval, and never past the curve's ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from helpers.frames import images as make_images
from synthbench.errors import ConfigError, DataError
from synthbench.statistics import equivalent_real_images
from synthbench.statistics.equivalent_images import isotonic

SIZES = (40, 80, 160, 320)
STEP = 0.04
"""What twice as many real images bring."""


def study(gains: dict[str, float], rng_seed: int = 0, **choices: object) -> dict[int, pd.DataFrame]:
    """Return frames by amount of real data: `real` gains `STEP` with each doubling, arms have their gain on top."""
    kinds = {"segmenters": ("unet",), "ious": (0.5,), "count": 120, "image_spread": 0.03, "seed_spread": 0.004}
    out = {}
    for place, size in enumerate(SIZES):
        level = -0.1 + STEP * place
        arms = {"real": level} | {f"real + {name} × 50": level + gain for name, gain in gains.items()}
        out[size] = make_images(arms, fraction=size, rng_seed=10 * rng_seed + place, **{**kinds, **choices})
    return out


def test_a_doublings_gain_is_worth_as_many_images_as_there_are() -> None:
    frames = study({"g": STEP, "half": STEP / 2})
    found = equivalent_real_images(frames[80], frames, 80)
    assert found["real + g × 50"].value == pytest.approx(80, abs=25)
    assert found["real + half × 50"].value == pytest.approx(80 * (2**0.5 - 1), abs=20)
    assert found["real + g × 50"].low < 80 < found["real + g × 50"].high


def test_a_loss_is_worth_less_than_nothing() -> None:
    frames = study({"bad": -STEP}, seeds=5)
    found = equivalent_real_images(frames[160], frames, 160)["real + bad × 50"]
    assert found.value == pytest.approx(-80, abs=25)
    assert found.high < 0


def test_beyond_the_curve_nothing_is_claimed() -> None:
    frames = study({"good": 0.3, "bad": -0.3})
    found = equivalent_real_images(frames[80], frames, 80)
    good, bad = found["real + good × 50"], found["real + bad × 50"]
    assert (good.value, good.high, good.most) == (240, 240, 240)
    assert (bad.value, bad.low, bad.least) == (-40, -40, -40)


def test_intervals_hold_the_truth() -> None:
    inside = []
    for repeat in range(40):
        frames = study({"g": STEP}, rng_seed=repeat, count=60)
        w = equivalent_real_images(frames[80], frames, 80, draws=400, seed=repeat)["real + g × 50"]
        inside.append(w.low <= 80 <= w.high)
    assert np.mean(inside) >= 0.88


@given(st.lists(st.integers(-40, 40), min_size=2, max_size=5), st.integers(-40, 40), st.integers(0, 4), st.booleans())
def test_worth_has_the_sign_of_the_difference(levels: list[int], gain: int, place: int, tie: bool) -> None:
    """However the curve bends; what is as good as the baseline is worth nothing. At an end there may be no more."""
    place = min(place, len(levels) - 1)
    sizes = [40 * 2**k for k in range(len(levels))]
    own = levels[place]

    def run(arm: str, score: int) -> pd.DataFrame:
        hits = 100 + score + np.array([0, 3, -3])
        counts = {"tp": hits, "fp": 300 - hits, "fn": 300 - hits}
        fixed = {"fold": 0, "generator_seed": np.nan, "seed": 0, "iou": 0.5, "arm": arm, "dice": 0.5}
        return pd.DataFrame({"image": ["a", "b", "c"], **counts, **fixed})

    frames = {n: run("real", level) for n, level in zip(sizes, levels, strict=True)}
    gain = 0 if tie else gain
    both = pd.concat([frames[sizes[place]], run("arm", own + gain)], ignore_index=True)
    found = equivalent_real_images(both, {**frames, sizes[place]: both}, sizes[place], draws=20)["arm"]
    assert found.least <= found.value <= found.most
    at_the_end = found.value == 0 and (found.most == 0 if gain > 0 else found.least == 0)
    assert np.sign(found.value) == np.sign(gain) or at_the_end
    assert found.low <= found.high


def test_of_one_image_the_interval_of_worth_is_unknown() -> None:
    frames = {n: rows[rows["image"] == "test-000"] for n, rows in study({"g": STEP}).items()}
    found = equivalent_real_images(frames[80], frames, 80, draws=50)["real + g × 50"]
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high]).all()


def test_without_another_amount_there_is_no_curve() -> None:
    frames = study({"g": 0.02})
    assert equivalent_real_images(frames[80], {80: frames[80]}, 80) == {}
    assert equivalent_real_images(frames[80], {160: frames[160][frames[160]["arm"] != "real"]}, 80) == {}


@pytest.mark.parametrize("amount", [0, -40, 40.5, np.nan, "40", True])
def test_amounts_are_positive_whole_numbers(amount: object) -> None:
    frames = study({"g": 0.02})
    with pytest.raises(ValueError, match=r"amount: .* real images"):
        equivalent_real_images(frames[80], {amount: frames[40]}, 80)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"amount: .* real images"):
        equivalent_real_images(frames[80], frames, amount)  # type: ignore[arg-type]


def test_a_curve_without_its_baseline_or_columns_is_refused() -> None:
    frames = study({"g": 0.02})
    with pytest.raises(ConfigError, match=r"baseline 'reel' is not among the arms.*'real'"):
        equivalent_real_images(frames[80], frames, 80, "reel")
    with pytest.raises(DataError, match="no column 'arm'"):
        equivalent_real_images(frames[80], {**frames, 160: frames[160].drop(columns="arm")}, 80)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_rising_is_isotonic_regression(values: list[float]) -> None:
    assert isotonic(np.array([values]))[0] == pytest.approx(isotonic_regression(values).x, abs=1e-12)
