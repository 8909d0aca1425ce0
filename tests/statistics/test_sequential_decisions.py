"""Evidence of several looks, and the error rates that it has on simulated boards."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from synthbench.statistics import Noise, expected_trainings, holm
from synthbench.statistics.group_sequential import Looks
from synthbench.statistics.sequential_decisions import (
    Estimates,
    add_look,
    chance_of_decision,
    holm_rows,
    no_evidence,
)
from synthbench.statistics.variance_components import combined_dof

sys.path.insert(0, str(Path(__file__).parents[1] / "perf"))
from decisions import Board, simulate, training_error


def one(value: float, fixed: float = 0.0, seeds: float = 1e-4, dof: float = 8.0) -> Estimates:
    return Estimates(*(np.array([number]) for number in (value, fixed, seeds, dof, dof)))


def test_a_single_look_has_the_p_values_of_students_t() -> None:
    found = add_look(no_evidence(1), one(0.03), Looks((4,)), 0, 0.02)
    assert found.different == pytest.approx(2 * t.sf(3, 8), rel=1e-6)
    assert found.equivalent == pytest.approx(min(t.cdf(1, 8), 0.5) if t.cdf(1, 8) < 0.5 else 1.0, rel=1e-6)
    inside = add_look(no_evidence(1), one(0.005), Looks((4,)), 0, 0.02)
    assert inside.equivalent == pytest.approx(t.sf(1.5, 8), rel=1e-6)


def test_a_later_look_never_takes_evidence_away() -> None:
    looks = Looks((2, 4))
    early = add_look(no_evidence(1), one(0.09), looks, 0, 0.02)
    late = add_look(early, one(0.0), looks, 1, 0.02)
    assert late.different == early.different
    assert late.equivalent < early.equivalent
    assert add_look(early, one(np.nan), looks, 1, 0.02).different == early.different


def test_an_arm_can_be_better_and_within_the_margin() -> None:
    found = add_look(no_evidence(1), one(0.01, seeds=1e-8), Looks((3,)), 0, 0.02).found()
    assert (found[0].tolist(), found[1].tolist()) == ([1], [True])
    worse = add_look(no_evidence(1), one(-0.01, seeds=1e-8), Looks((3,)), 0, 0.02).found()
    assert worse[0].tolist() == [-1]


def test_more_seeds_are_hopeless_where_test_images_leave_more_than_the_margin() -> None:
    looks, is_open = Looks((2, 4, 8)), np.array([True])
    assert chance_of_decision(one(0.0, fixed=0.015**2), looks, 0, 0.02, is_open) < 0.01
    assert chance_of_decision(one(0.0, fixed=1e-6, seeds=2e-5), looks, 0, 0.02, is_open) > 0.9
    assert chance_of_decision(one(0.08, fixed=0.015**2), looks, 0, 0.02, is_open) > 0.9


def test_holm_along_rows_is_holms_rule() -> None:
    p = np.random.default_rng(1).uniform(0, 0.2, (5, 7))
    assert np.allclose(holm_rows(p), [holm(row) for row in p])


def test_the_simulated_boards_estimate_variances_as_the_leaderboard_does() -> None:
    from synthbench.statistics._resampling import Resampled
    from synthbench.statistics._standard_errors import standard_errors

    rng = np.random.default_rng(4)
    differences = rng.normal(0, [[0.01]] * 3 + [[0.03]], (20, 4, 5)) - rng.normal(0, 0.01, (20, 1, 5))
    seeds = np.array([5, 2, 5, 3])
    trained = np.broadcast_to(np.arange(5) < seeds[:, None], differences.shape)
    error2, dof = training_error(differences, trained)
    for board in range(20):
        arms = {}
        for arm, count in enumerate(seeds):
            own = differences[board, arm, :count]
            pairs = pd.DataFrame({"fold": 0, "generator_seed": "0", "seed": range(count)})
            pairs = pairs.assign(run=range(100 * arm + 10, 100 * arm + 10 + count), base=range(count))
            drawn = own + rng.normal(0, 0.01, (50, 1))
            arms[str(arm)] = Resampled(pairs, own, drawn, 60, 60, 1.0, 59.0)
        for arm, found in standard_errors(arms, by_fold=True).items():
            assert found.training2 == pytest.approx(error2[board, int(arm)])
            assert found.component.dof == pytest.approx(dof[board, int(arm)])
            assert found.seed2 == found.training2
            assert found.dof == pytest.approx(
                float(combined_dof(found.image2, 59, found.training2, dof[board, int(arm)]))
            )


def test_fewer_trainings_than_at_most_are_expected_and_test_images_leave_a_limit() -> None:
    noise = Noise(image=0.12, training=0.012, source="x")
    found = expected_trainings(noise, 1000, 12, 5, 0.02, generator_seeds=2, folds=3)
    assert found.most == (5 * 2 + 1) * 12 * 3
    assert (5 * 2 + 1) * 2 * 3 <= found.expected < found.most
    few = expected_trainings(noise, 100, 12, 5, 0.02)
    assert few.limit == pytest.approx(1.6449 * 0.012, rel=1e-3)
    assert few.decided < expected_trainings(noise, 1000, 12, 5, 0.02).decided


@pytest.mark.slow
def test_false_verdicts_keep_to_the_stated_rates() -> None:
    """Two standard errors of 600 boards are .018."""
    for arms in (5, 12):
        null = simulate(Board((0.0,) * arms, 0.02, 0.006), 600)
        assert null.false_difference < 0.05 + 0.018
        edge = simulate(Board((0.02,) * arms, 0.015, 0.004, images=1000), 600, seed=1)
        assert 0.005 < edge.false_equivalence < 0.05 + 0.018


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effects", "fixed"),
    [
        ((-0.1, -0.06, -0.05, 0.0, 0.06), 10),
        ((-0.12, -0.1, -0.08, -0.07, -0.06, -0.05, -0.05, 0.0, 0.0, 0.05, 0.06, 0.08), 10),
    ],
)
def test_half_of_the_trainings_are_saved_on_boards_of_5_and_of_12_arms(effects: tuple[float, ...], fixed: int) -> None:
    """A study with `fixed` seeds of every arm decides no more arms rightly, and needs twice the trainings."""
    board = Board(effects, 0.015, 0.004)
    found = simulate(board, 400)
    same = simulate(Board(effects, 0.015, 0.004, most=fixed), 400, fixed=True)
    assert same.power <= found.power + 0.01
    assert found.trainings <= 0.56 * same.trainings
