"""Test images that belong together count as one: in the interval, its freedom, the ranks, and what a plan rests on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.studies import Truth, judge, study
from synthbench.errors import DataError
from synthbench.statistics import (
    compare,
    equivalent_real_images,
    estimate_noise,
    minimum_detectable_effect,
    paired_difference,
)
from synthbench.statistics._resampling import smallness

ARM = "real + g0 × 1"
WELL = {"well_spread": 0.05, "image_spread": 0.03, "training": 0.006}


def summed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with one image per well, which holds its counts."""
    keys = ["arm", "fold", "generator_seed", "seed", "iou", "unit"]
    counts = frame.groupby(keys, dropna=False)[["tp", "fp", "fn"]].sum().reset_index()
    return counts.rename(columns={"unit": "image"})


def wells(gains: list[float], each: int, *, seeds: int = 2) -> pd.DataFrame:
    """Return a study in which an arm gains so much on all images of each well, in every seed."""
    rows = [
        (arm, seed, f"{well}-{i}", f"w{well}", round(1000 * (0.5 + (gain if arm != "real" else 0))))
        for arm in ("real", ARM)
        for seed in range(seeds)
        for well, gain in enumerate(gains)
        for i in range(each)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "image", "unit", "tp"])
    generator = np.where(frame["arm"] == "real", np.nan, 0.0)
    return frame.assign(fold=0, generator_seed=generator, iou=0.5, fp=1000 - frame["tp"], fn=1000 - frame["tp"])


@pytest.mark.parametrize("aggregation", ["pooled", "per_image"])
def test_the_interval_is_a_t_test_of_the_wells(aggregation: str) -> None:
    """Not of the images, of which there are ten times as many."""
    gains = [0.02, 0.10, -0.03, 0.06, 0.05]
    found = paired_difference(wells(gains, 10), ARM, aggregation=aggregation)
    error = np.std(gains, ddof=1) / np.sqrt(5)
    assert (found.images, found.units) == (50, 5)
    assert found.value == pytest.approx(np.mean(gains))
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 4) * error, rel=0.08)
    loose = paired_difference(wells(gains, 10).drop(columns="unit"), ARM, aggregation=aggregation)
    assert loose.units == 50
    assert loose.high - loose.low < 0.3 * (found.high - found.low)


def test_wells_are_as_good_as_images_that_hold_their_counts() -> None:
    frame = study(Truth((0.03, 0.0), wells=(3, 9, 1, 5, 7, 4), **WELL), 1)
    whole, parts = compare(summed(frame)), compare(frame)
    for arm, one in whole.differences.items():
        other = parts.differences[arm]
        assert (one.value, one.low, one.high, one.p) == (other.value, other.low, other.high, other.p)
    assert whole.ranks().equals(parts.ranks())
    one, other = estimate_noise(summed(frame)), estimate_noise(frame)
    assert one is not None
    assert one == other
    assert minimum_detectable_effect(one, 6, 3, 2) == minimum_detectable_effect(other, 6, 3, 2)


def test_the_worth_in_real_images_rests_on_wells_too() -> None:
    frame = study(Truth((0.03,), 8, wells=(10,) * 5, **WELL), 2)
    more = frame[frame["arm"] == "real"].assign(tp=lambda t: np.minimum(t["tp"] + 4, 40))
    more = more.assign(fp=40 - more["tp"], fn=40 - more["tp"])
    joined = equivalent_real_images(frame, {90: more}, 45)[ARM]
    loose = equivalent_real_images(frame.drop(columns="unit"), {90: more.drop(columns="unit")}, 45)[ARM]
    assert joined.value == loose.value
    assert joined.high - joined.low > loose.high - loose.low


def test_one_well_tells_nothing_however_many_images_it_has() -> None:
    found = paired_difference(wells([0.1], 50), ARM)
    assert (found.images, found.units) == (50, 1)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert compare(wells([0.1], 50)).ranks()["high"].tolist() == [2, 2]


def test_two_wells_give_the_interval_of_two() -> None:
    found = paired_difference(wells([0.02, 0.06], 25), ARM)
    error = np.std([0.02, 0.06], ddof=1) / np.sqrt(2)
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 1) * error, rel=0.15)


@pytest.mark.parametrize("blank", [np.nan, "", None])
def test_an_image_without_a_group_belongs_to_itself(blank: object) -> None:
    frame = wells([0.02, 0.10, -0.03], 4)
    frame["unit"] = frame["unit"].astype(object).where(frame["unit"] != "w2", blank)
    assert paired_difference(frame, ARM, draws=200).units == 2 + 4
    alone, bare = frame.assign(unit=blank), frame.drop(columns="unit")
    assert paired_difference(alone, ARM, draws=200) == paired_difference(bare, ARM, draws=200)


def test_a_group_called_like_an_image_is_no_image() -> None:
    frame = wells([0.02, 0.10, -0.03], 4)
    frame["unit"] = frame["unit"].replace({"w0": "1-0", "w1": ""})
    assert paired_difference(frame, ARM, draws=200).units == 1 + 4 + 1


def test_an_image_of_two_groups_is_refused() -> None:
    frame = wells([0.02, 0.10], 4)
    frame.loc[0, "unit"] = "w1"
    with pytest.raises(DataError, match=r"image '0-0' belongs to several units \(w0, w1\)"):
        compare(frame)


def test_wells_that_folds_share_are_resampled_over_all_folds() -> None:
    frame = pd.concat([wells([0.02, 0.1, 0.0], 4).assign(fold=f) for f in range(3)], ignore_index=True)
    frame["image"] = frame["fold"].astype(str) + "-" + frame["image"]
    shared = paired_difference(frame, ARM)
    assert (shared.images, shared.units, shared.folds) == (36, 3, 3)
    own = paired_difference(frame.assign(unit=frame["fold"].astype(str) + frame["unit"]), ARM)
    assert (own.units, own.folds) == (9, 3)
    assert shared.high - shared.low > 2 * (own.high - own.low), "folds that share their wells repeat nothing"


# -- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(3.0,) * 6, (26.0, 6.0, 6.0, 6.0, 6.0), (1.0, 2.0, 3.0, 10.0), (5.0, 5.0, 0.0)])
def test_how_far_resampling_falls_short_is_the_expectation_of_its_quadratic_form(sizes: tuple[float, ...]) -> None:
    shares = np.array([s for s in sizes if s]) / sum(sizes)
    maker = np.eye(len(shares)) - shares
    form = maker.T @ np.diag(shares**2) @ maker
    few, dof = smallness([np.array(sizes)])
    assert few == pytest.approx(np.sum(shares**2) / np.trace(form))
    assert dof == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form))


def test_units_of_one_size_have_their_number_less_one() -> None:
    assert smallness([np.full(8, 3.0)]) == pytest.approx((8 / 7, 7))
    assert smallness([np.full(4, 3.0), np.full(4, 9.0)]) == pytest.approx((4 / 3, 6))
    assert smallness([np.array([7.0])]) == smallness([np.zeros(3)]) == (1, 0)


def test_one_large_well_among_small_ones_is_few() -> None:
    few, dof = smallness([np.array([26.0, 6, 6, 6, 6])])
    assert few > 2
    assert dof < 3


# -- coverage -------------------------------------------------------------------------------------------------------


def chance(repeats: int) -> float:
    """Return by how much a share of 95 % may be off in so many studies, once in a hundred."""
    return 2.6 * float(np.sqrt(0.05 * 0.95 / repeats))


@pytest.mark.parametrize("joined", [True, False])
def test_intervals_hold_the_truth_where_wells_are_resampled_and_only_there(joined: bool) -> None:
    found = judge(Truth(seeds=3, wells=(10,) * 5, joined=joined, **WELL), 60, draws=600)
    assert (found.held >= 0.95 - chance(60)) == joined


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("sizes", [(10,) * 5, (5,) * 10, (5,) * 20])
def test_coverage_with_wells(seeds: int, sizes: tuple[int, ...]) -> None:
    held = judge(Truth(seeds=seeds, wells=sizes, **WELL), 200).held
    assert abs(held - 0.95) <= chance(200)


@pytest.mark.slow
def test_boards_of_five_arms_without_effect_call_one_as_rarely_as_is_said() -> None:
    """41 of 100 did where images of a well counted as independent."""
    assert judge(Truth((0.0,) * 5, wells=(10,) * 5, **WELL), 150).alarms <= 0.05 + chance(150)
