"""Boundaries of repeated looks: their error probability, and p-values that hold at every look."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from synthbench.statistics.group_sequential import Looks, looks_up_to


def covariance(seeds: tuple[int, ...], ratio: float) -> np.ndarray:
    """Correlations of the statistics of all looks: what two looks share is the variance at the later one."""
    variance = ratio + (1 - ratio) / np.array(seeds)
    later = np.minimum(variance[:, None], variance)
    return later / np.sqrt(np.outer(variance, variance))


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("level", [0.025, 0.001])
def test_a_path_without_effect_crosses_a_boundary_as_often_as_the_level_says(ratio: float, level: float) -> None:
    looks = Looks((2, 3, 5, 8))
    nominal = [float(looks.nominal(level, look, np.array([ratio]))[0]) for look in range(4)]
    bounds = -ndtri(nominal)
    paths = multivariate_normal(np.zeros(4), covariance(looks.seeds, ratio), seed=0, maxpts=400_000, abseps=1e-6)
    below = paths.cdf(bounds)
    assert 1 - below == pytest.approx(level, rel=0.01)


def test_one_look_has_the_level_of_a_fixed_test() -> None:
    level = Looks((6,)).overall(np.array([0.003, 0.04]), 0, np.array([0.2, 0.7]))
    assert level == pytest.approx([0.003, 0.04], rel=1e-6)


def test_the_level_spent_at_the_first_look_is_the_square_of_its_information() -> None:
    """Two of eight seeds without a fixed part are a quarter of the information: a sixteenth of the level."""
    assert Looks((2, 8)).nominal(0.032, 0, np.array([0.0])) == pytest.approx([0.002], rel=1e-3)


def test_overall_undoes_nominal_and_keeps_nan() -> None:
    looks, ratio = looks_up_to(12, 5), np.array([0.0, 0.35, 0.99])
    for look in (0, 4, 8):
        nominal = looks.nominal(0.013, look, ratio)
        assert looks.overall(nominal, look, ratio) == pytest.approx([0.013] * 3, rel=1e-9)
    assert np.isnan(looks.overall(np.array([np.nan]), 0, np.array([0.5]))).all()


@pytest.mark.parametrize(
    ("most", "arms", "seeds"),
    [(12, 4, (2, 3, 4, 5, 6, 7, 8, 10, 12)), (4, 2, (3, 4)), (6, 1, (5, 6)), (2, 1, (2,)), (9, 12, (*range(2, 9), 9))],
)
def test_the_first_look_has_four_degrees_of_freedom(most: int, arms: int, seeds: tuple[int, ...]) -> None:
    assert looks_up_to(most, arms).seeds == seeds


@pytest.mark.parametrize(("most", "arms"), [(1, 3), (5, 0)])
def test_too_few_seeds_or_arms_are_refused(most: int, arms: int) -> None:
    with pytest.raises(ValueError, match=f"most: {most}, arms: {arms}"):
        looks_up_to(most, arms)
