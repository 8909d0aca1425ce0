"""What more real images bring, and the share of it that an arm recovers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthbench.errors import ConfigError
from synthbench.statistics import compare, headroom, score_interval, sensitivity
from synthbench.statistics.headroom import share


def fieller(a: float, b: float, cov: np.ndarray, z: float) -> tuple[float, float]:
    """The ratios θ with (a − θ b)² ≤ z² var(a − θ b): the roots of a quadratic (Fieller 1954)."""
    square = b**2 - z**2 * cov[1, 1]
    linear = -2 * (a * b - z**2 * cov[0, 1])
    low, high = sorted(np.roots([square, linear, a**2 - z**2 * cov[0, 0]]).real)
    return float(low), float(high)


@pytest.mark.parametrize(("a", "b", "rho"), [(0.5, 1.0, 0.0), (0.5, 1.0, 0.6), (-0.4, 0.8, -0.3), (1.4, 0.62, 0.5)])
def test_the_interval_of_a_share_is_fiellers(a: float, b: float, rho: float) -> None:
    cov = np.array([[0.04, rho * 0.04 * 1.2], [rho * 0.04 * 1.2, 0.04 * 1.44]])
    drawn = np.random.default_rng(3).multivariate_normal([a, b], cov, 400_000)
    found = share(a, drawn[:, 0], b, drawn[:, 1])
    low, high = fieller(a, b, cov, 1.959964)
    width = high - low
    assert found.value == pytest.approx(a / b)
    assert found.low == pytest.approx(low, abs=0.02 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)


def test_sensitivity_is_the_gain_over_the_half_width_of_its_interval() -> None:
    """Above 1 if it is significant; the louder the trainings, the smaller."""
    found = {}
    for noise in (0.004, 0.02):
        rows = cell({"real": 0.0, "more": 0.06}, noise=noise)
        small, large = rows[rows["arm"] == "real"], rows[rows["arm"] == "more"].assign(arm="real")
        gain = headroom(small, large).gain
        found[noise] = sensitivity(small, large, [("f1", 0.5)])["f1", 0.5]
        assert found[noise] == pytest.approx(gain.value / ((gain.high - gain.low) / 2))
        assert (found[noise] > 1) == (gain.low > 0)
    assert found[0.004] > 1.5 * found[0.02]
    assert sensitivity(small, large.assign(fold=9), [("f1", 0.5)]) == {}, "nothing to pair"


def test_there_is_no_share_of_what_cant_be_told_from_zero() -> None:
    rng = np.random.default_rng(4)
    above = rng.normal(0.5, 0.1, 9_999)
    for gain in (0.1, 0.0, -0.5):
        found = share(0.5, above, gain, rng.normal(gain, 0.1, 9_999))
        assert np.isnan([found.value, found.low, found.high]).all(), gain
    unknown = share(0.5, np.full(99, np.nan), 0.5, np.full(99, 0.5))
    assert unknown.value == 1
    assert np.isnan([unknown.low, unknown.high]).all()
    exact = share(0.2, np.full(99, 0.2), 0.5, np.full(99, 0.5))
    assert (exact.value, exact.low, exact.high) == (0.4, 0.4, 0.4)


def cell(effects: dict[str, float], *, seeds: int = 3, images: int = 60, noise: float = 0.004) -> pd.DataFrame:
    """One row per arm, seed and image, with the arm's own noise of training and of training × image."""
    rng = np.random.default_rng(7)
    objects, base = rng.integers(30, 60, images), rng.normal(0, 0.06, images)
    rows = []
    for arm, effect in effects.items():
        own = rng.normal(0, 0.01, images)
        for seed in range(seeds):
            hit = np.clip(0.7 + effect + base + own + rng.normal(0, noise), 0, 1)
            tp = np.round(objects * hit).astype(int)
            head = {"arm": arm, "fold": 0, "generator_seed": np.nan, "seed": seed, "iou": 0.5}
            rows += [
                head | {"image": f"i{i}", "tp": t, "fp": n - t, "fn": n - t, "true": n, "predicted": n}
                for i, (t, n) in enumerate(zip(tp, objects, strict=True))
            ]
    return pd.DataFrame(rows)


def test_half_of_the_gain_is_recovered() -> None:
    rows = cell({"real": 0.0, "real + g × 9": 0.06, "real + h × 9": -0.06, "more": 0.12})
    larger = rows[rows["arm"] == "more"].assign(arm="real")
    found = headroom(rows[rows["arm"] != "more"], larger, draws=2_000)
    assert found is not None
    assert found.gain.low > 0
    plain = compare(rows, draws=2_000).differences
    assert found.gain.value == pytest.approx(plain["more"].value)
    g, h = found.shares["real + g × 9"], found.shares["real + h × 9"]
    assert g.value == pytest.approx(plain["real + g × 9"].value / plain["more"].value)
    assert g.low < 0.5 < g.high
    assert 0.1 < g.high - g.low < 0.6
    assert h.high < 0
    assert set(found.shares) == {"real + g × 9", "real + h × 9"}


def test_without_headroom_there_are_no_shares() -> None:
    rows = cell({"real": 0.0, "real + g × 9": 0.06, "more": 0.0}, noise=0.02)
    found = headroom(rows[rows["arm"] != "more"], rows[rows["arm"] == "more"].assign(arm="real"), draws=1_000)
    assert found is not None
    assert not found.gain.low > 0
    assert found.gain.low < 0 < found.gain.high
    assert np.isnan(found.shares["real + g × 9"].value)


def test_headroom_needs_trainings_that_pair() -> None:
    rows = cell({"real": 0.0, "real + g × 9": 0.06})
    assert headroom(rows, rows[rows["arm"] == "real"].assign(seed=rows["seed"] + 9), draws=100) is None
    with pytest.raises(ConfigError, match="baseline 'reel' is not among the arms"):
        headroom(rows, rows, "reel")


# -- a score by itself ----------------------------------------------------------------------------------------------


def synthetic(rng: np.random.Generator, *, images: int, seeds: int, spread: float, training: float) -> pd.DataFrame:
    objects = rng.integers(20, 40, images)
    own = rng.normal(0, spread, images)
    rows = []
    for seed in range(seeds):
        hit = np.clip(0.6 + own + rng.normal(0, training), 0, 1)
        for i, (t, n) in enumerate(zip(rng.binomial(objects, hit), objects, strict=True)):
            rows.append({"fold": 0, "generator_seed": 0, "seed": seed, "image": f"{i:06d}", "iou": 0.5, "tp": t})
            rows[-1] |= {"fp": n - t, "fn": n - t, "true": n, "predicted": n}
    return pd.DataFrame(rows)


def test_a_score_by_itself_is_the_mean_over_trainings() -> None:
    rows = synthetic(np.random.default_rng(0), images=30, seeds=3, spread=0.1, training=0.02)
    sums = rows.groupby("seed")[["tp", "fp", "fn"]].sum()
    found = score_interval(rows, draws=1_000)
    assert found.value == pytest.approx((2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).mean())
    assert found.low < found.value < found.high
    assert (found.seeds, found.images) == (3, 30)


def test_images_of_other_generator_seeds_are_other_images() -> None:
    rng = np.random.default_rng(1)
    sets = [synthetic(rng, images=20, seeds=2, spread=0.1, training=0.0).assign(generator_seed=g) for g in (0, 1)]
    found = score_interval(pd.concat(sets, ignore_index=True), draws=500)
    assert found.images == 40
    assert 0 <= found.low < found.high <= 1


@pytest.mark.parametrize(("training", "seeds"), [(0.0, 3), (0.03, 3), (0.03, 5)])
def test_the_interval_of_a_score_holds_the_truth(training: float, seeds: int) -> None:
    held = 0
    studies = 120
    for study in range(studies):
        rng = np.random.default_rng((11, seeds, study))
        found = score_interval(synthetic(rng, images=40, seeds=seeds, spread=0.1, training=training), draws=400)
        held += found.low <= 0.6 <= found.high
    assert 0.88 <= held / studies <= 0.995


@pytest.mark.parametrize(
    ("metric", "value"), [("pq", 0.5), ("sq", 0.75), ("rq", 2 / 3), ("aji", 0.4), ("aji_plus", 0.6)]
)
def test_any_score_that_is_zero_where_nothing_is_found_has_a_level(metric: str, value: float) -> None:
    """By hand: 2 of 3 true and 3 predicted instances matched, with an IoU of .75 each."""
    counts = {"true": 3, "predicted": 3, "tp": 2, "fp": 1, "fn": 1, "iou": 0.5, "pq_tp": 2, "pq_iou_sum": 1.5}
    aji = {"aji_shared": 40, "aji_union": 100, "aji_plus_shared": 60, "aji_plus_union": 100}
    rows = [{"fold": 0, "generator_seed": None, "seed": s, "image": f"i{i}"} for s in range(2) for i in range(25)]
    frame = pd.DataFrame(rows).assign(**counts, **aji)
    assert score_interval(frame, metric, draws=200).value == pytest.approx(value)


def test_more_real_images_lend_no_arm_their_spread() -> None:
    """The share and the difference of one arm rest on the same noise: what one tells from zero, the other does."""
    frame = cell({"real": 0.0, "g": 0.03, "more": 0.1}, noise=0.02)
    alone = compare(frame[frame["arm"] != "more"], draws=500).differences["g"]
    beside = compare(frame, draws=500, unpooled=["more"]).differences["g"]
    assert (beside.training_error, beside.dof) == (alone.training_error, alone.dof)
