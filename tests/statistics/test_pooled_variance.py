"""Training's variance from all arms together: by hand, against an analysis of variance, and where it mustn't be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.crossed import images as make_crossed
from helpers.studies import Truth, judge, study
from synthbench.statistics import PRIOR, compare, holm, minimum_detectable_effect, paired_difference
from synthbench.statistics.noise import Noise
from synthbench.statistics.pooled_variance import pool_variance, two_way

HERE = Path(__file__).parent


def arms(scores: np.ndarray) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Return pairs and differences of ``(1 + arms, seeds)`` scores, the baseline's first."""
    pairs, differences = {}, {}
    for place, row in enumerate(scores[1:], 1):
        seeds = np.arange(len(row))
        keys = {"fold": 0, "generator_seed": "0", "seed": seeds, "base": seeds, "run": 100 * place + seeds}
        pairs[f"a{place}"], differences[f"a{place}"] = pd.DataFrame(keys), row - scores[0]
    return pairs, differences


def noise(rows: int, seeds: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, size=(rows, seeds))


def test_it_is_the_residual_of_an_analysis_of_variance() -> None:
    scores = noise(4, 3, 1) + np.arange(3)
    left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    found = pool_variance(*arms(scores))
    assert found is not None
    assert found.dof == 6
    assert found.variance == pytest.approx((left**2).sum() / 6)
    assert found.scales == pytest.approx(dict.fromkeys(("a1", "a2", "a3"), 2 / 3))


def test_what_seeds_have_in_common_and_what_levels_arms_have_does_not_matter() -> None:
    scores = noise(4, 3, 2)
    one, other = (
        pool_variance(*arms(scores)),
        pool_variance(*arms(scores + 5 * np.arange(4)[:, None] + 7 * np.arange(3))),
    )
    assert one is not None
    assert other is not None
    assert one.variance == pytest.approx(other.variance)


def test_a_lost_seed_costs_one_degree_of_freedom() -> None:
    pairs, differences = arms(noise(4, 3, 3))
    pairs["a2"], differences["a2"] = pairs["a2"].iloc[:2], differences["a2"][:2]
    found = pool_variance(pairs, differences)
    assert found is not None
    assert found.dof == 5
    assert found.scales["a2"] == 1


def test_it_is_unbiased_also_where_generator_seeds_are_averaged() -> None:
    rng = np.random.default_rng(4)
    row, column = (index.ravel() for index in np.indices((4, 3)))
    scale = np.where(row == 0, 1.0, 1 / 3)
    values = rng.normal(size=(4000, 12)) * np.sqrt(scale) + column
    variance, dof, p = two_way(values, row, column, scale)
    assert dof == 6
    assert variance.mean() == pytest.approx(1, abs=0.03)
    assert (p < 0.1).mean(axis=0) == pytest.approx(np.full(4, 0.1), abs=0.02), "p is uniform where all vary alike"


def test_with_one_arm_or_one_seed_or_folds_there_is_no_table() -> None:
    pairs, differences = arms(noise(4, 3, 5))
    assert pool_variance({"a1": pairs["a1"]}, {"a1": differences["a1"]}) is None
    assert pool_variance(pairs, differences, unpooled=["a1", "a2"]) is None
    assert pool_variance(*arms(noise(4, 1, 5))) is None
    assert pool_variance({name: own.assign(fold=[0, 0, 1]) for name, own in pairs.items()}, differences) is None
    assert pool_variance(pairs, {name: np.zeros(3) for name in pairs}) is None


def test_seeds_with_generators_of_their_own_are_left_to_each_arm() -> None:
    pairs, differences = arms(noise(4, 3, 9))
    own = {name: frame.assign(generator_seed=frame["seed"].astype(str)) for name, frame in pairs.items()}
    assert pool_variance(own, differences) is None


def test_arms_of_the_same_numbers_are_one_training() -> None:
    """Counted as several, arms that equal the baseline or each other would make chance look small."""
    scores = noise(4, 3, 6)
    one = pool_variance(*arms(scores))
    other = pool_variance(*arms(np.vstack([scores, scores[1], scores[0], scores[0] + 0.1])))
    assert one is not None
    assert other is not None
    assert (one.variance, one.dof) == (pytest.approx(other.variance), other.dof)


def test_a_wild_arm_is_judged_by_itself_and_taken_out() -> None:
    scores = noise(6, 3, 7)
    found, outliers = pool_variance(*arms(scores)), pool_variance(*arms(np.vstack([scores, [0.0, 0.4, -0.5]])))
    assert found is not None
    assert outliers is not None
    assert "a6" in outliers.outliers
    assert (outliers.variance, outliers.dof) == (pytest.approx(found.variance), found.dof)


def test_a_wild_baseline_is_told() -> None:
    found = pool_variance(*arms(np.vstack([[0.0, 0.2, -0.3], noise(6, 3, 8)])))
    assert found is not None
    assert found.baseline_is_outlier


# -- in a comparison ------------------------------------------------------------------------------------------------


def test_five_arms_of_two_seeds_have_five_degrees_of_freedom() -> None:
    found = compare(study(Truth((0.0,) * 5, 2), 1), draws=200).differences
    assert {round(d.dof, 6) for d in found.values()} == {5.0}
    assert len({d.training_error for d in found.values()}) == 1


def test_one_seed_gives_no_test_no_rank_and_an_interval_with_the_assumed_noise() -> None:
    found = compare(study(Truth((0.2, 0.0, -0.4), 1), 0), draws=500)
    for difference in found.differences.values():
        assert difference.single_training
        assert np.isnan(difference.p)
        assert difference.assumed_error == difference.training_error == PRIOR.training
        assert difference.high - difference.low > 2 * 1.9 * PRIOR.training
    ranks = found.ranks()
    assert (ranks["low"] == 1).all()
    assert (ranks["high"] == 4).all()


def test_generator_seeds_are_no_segmenter_seeds() -> None:
    """The arm's trainings are in their spread; the baseline's one is assumed."""
    found = paired_difference(make_crossed(0.2, 4, 1), "real + g × 1")
    assert found.single_training
    assert np.isnan(found.p)
    assert found.assumed_error == pytest.approx(PRIOR.training * np.sqrt(0.5))
    assert found.training_error > found.assumed_error


def test_an_arm_that_lost_all_but_one_seed_is_undecided_beside_others_that_are_not() -> None:
    frame = study(Truth((0.2, 0.2, 0.0), 3, training=0.004), 0)
    found = compare(frame[(frame["arm"] != "real + g0 × 1") | (frame["seed"] == 0)], draws=500)
    one, other = found.differences["real + g0 × 1"], found.differences["real + g1 × 1"]
    assert one.single_training
    assert np.isnan(one.p)
    assert one.assumed_error == 0, "the others show how trainings vary"
    assert other.p < 0.01
    table = found.ranks().set_index("arm")
    assert table.loc["real + g0 × 1", ["low", "high"]].tolist() == [1, 4]
    assert table.loc["real + g1 × 1", "high"] == 2


def test_folds_of_one_seed_are_trainings_again() -> None:
    found = compare(study(Truth((0.2,), 1, 4, (1,) * 15), 0), draws=500).differences["real + g0 × 1"]
    assert not found.single_training
    assert (found.seeds, found.folds, found.dof) == (1, 4, 3)
    assert found.p < 0.05


# -- power, false alarms, and what a plan promises ------------------------------------------------------------------


def test_arms_together_find_what_one_arm_by_itself_seldom_does() -> None:
    """Of two seeds, with an effect that the best possible test finds in 80 %."""
    truth = Truth((0.0,) * 5, 2, training=0.02, image_spread=0.02)
    strong = Truth((2.802 * truth.error, *truth.effects[1:]), 2, training=0.02, image_spread=0.02)
    assert judge(strong, 60, draws=400).found >= 0.4, "a third of them where each arm was judged by itself"


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3])
def test_without_an_effect_arms_together_call_one_as_rarely_as_is_said(seeds: int) -> None:
    found = judge(Truth((0.0,) * 5, seeds, training=0.02, image_spread=0.02), 200)
    assert found.alarms <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 200)
    assert abs(found.held - 0.95) <= 2.6 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "seeds"), [(5, 2), (5, 3), (2, 3)])
def test_what_a_plan_promises_is_found_in_four_of_five(count: int, seeds: int) -> None:
    """Few draws would blunt the corrected p-values."""
    spreads = {"training": 0.02, "image_spread": 0.02, "objects": 1000}
    smallest = minimum_detectable_effect(Noise(image=0.02, training=0.02 * np.sqrt(2), source=""), 50, seeds, count)
    strong = Truth((smallest, *(0.0,) * (count - 1)), seeds, **spreads)
    hits = []
    for number in range(200):
        found = compare(study(strong, number), draws=4000, seed=number).differences
        hits.append(holm([d.p for d in found.values()])[0] < 0.05)
    assert abs(np.mean(hits) - 0.8) <= 2.6 * np.sqrt(0.8 * 0.2 / 200)
