"""The kernel distance: every pair by hand, clean-fid, no bias, and an interval that covers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from synthbench.metrics import kernel
from synthbench.metrics.kernel import kernel_distance, kernel_interval, permutation_test


def pair_by_pair(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / len(a) + 1) ** 3

    within = [
        np.mean([k(part[i], part[j]) for i in range(len(part)) for j in range(len(part)) if i != j]) for part in (x, y)
    ]
    return float(sum(within) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_it_is_the_mean_over_all_pairs_of_two_images() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(4, 5)) + 0.5
    assert kernel_distance(x, y) == pytest.approx(pair_by_pair(x, y), rel=1e-10)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(37, 6))
    whole = kernel_distance(x, y), kernel_interval(x, y, 0, draws=20)
    monkeypatch.setattr(kernel, "BLOCK", 8)
    assert kernel_distance(x, y) == pytest.approx(whole[0])
    assert kernel_interval(x, y, 0, draws=20) == pytest.approx(whole[1])


def test_clean_fid_says_the_same_of_one_full_subset() -> None:
    fid = pytest.importorskip("cleanfid.fid")
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(120, 32)), rng.normal(size=(120, 32)) * 1.1 + 0.2
    assert kernel_distance(x, y) == pytest.approx(fid.kernel_distance(x, y, num_subsets=1), rel=1e-9)


def test_it_has_no_bias_and_may_be_negative() -> None:
    rng = np.random.default_rng(4)
    figures = np.array([kernel_distance(*rng.normal(size=(2, 12, 8))) for _ in range(600)])
    assert abs(figures.mean()) < 3.5 * figures.std() / np.sqrt(len(figures))
    assert (figures < 0).mean() > 0.3


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    # In one dimension, N(0, 1) against N(1, 1): E k = E (ab + 1)³ = E[a³]E[b³] + 3 E[a²]E[b²] + 3 E[a]E[b] + 1.
    truth = (0 + 3 + 0 + 1) + (16 + 12 + 3 + 1) - 2 * (0 + 6 + 0 + 1)
    inside = 0
    for i in range(120):
        x, y = rng.normal(size=(80, 1)), rng.normal(size=(80, 1)) + 1
        low, high = kernel_interval(x, y, i, draws=300)
        assert low < high
        inside += low <= truth <= high
    assert 0.83 <= inside / 120 <= 1


def test_interval_is_a_function_of_the_seed() -> None:
    x, y = np.random.default_rng(6).normal(size=(2, 30, 4))
    assert kernel_interval(x, y, 1) == kernel_interval(x, y, 1)
    assert kernel_interval(x, y, 1) != kernel_interval(x, y, 2)
    narrow, wide = kernel_interval(x, y, 1, level=0.5), kernel_interval(x, y, 1, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_two_images_of_each_are_enough_for_a_finite_interval() -> None:
    x, y = np.random.default_rng(7).normal(size=(2, 2, 4))
    assert np.isfinite(kernel_interval(x, y, 0, draws=50)).all()


def test_p_is_the_share_of_divisions_whose_distance_is_as_large() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(4, 3)) + 0.6, rng.normal(size=(3, 3))
    together = np.concatenate([x, y])
    every = [
        kernel_distance(together[list(some)], np.delete(together, some, axis=0)) for some in combinations(range(7), 4)
    ]
    exact = np.mean(np.array(every) >= kernel_distance(x, y) - 1e-9)
    assert permutation_test(x, y, 0, permutations=20_000) == pytest.approx(exact, abs=0.015)
    assert permutation_test(y, x, 0, permutations=20_000) == pytest.approx(exact, abs=0.015)


def test_p_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(33, 6)) + 0.1
    whole = permutation_test(x, y, 3)
    assert 0.0005 < whole < 1
    monkeypatch.setattr(kernel, "BLOCK", 8)
    monkeypatch.setattr(kernel, "PERMUTATION_BLOCK", 17)
    assert permutation_test(x, y, 3) == whole


def test_p_of_images_of_one_distribution_is_uniform_and_of_two_is_small() -> None:
    rng = np.random.default_rng(10)
    same, other = [], []
    for i in range(400):
        x, y = np.exp(rng.normal(size=(12, 5))), np.exp(rng.normal(size=(25, 5)))
        same.append(permutation_test(x, y, i, permutations=199))
        other.append(permutation_test(1.5 * x, y, i, permutations=199))
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(same) <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 400))
    assert np.mean(np.array(other) <= 0.05) > 2 * 0.05


def test_images_that_are_all_alike_cannot_be_told_apart() -> None:
    x = np.full((6, 4), 1e6)
    assert permutation_test(x, x[:3], 0) == 1


def test_p_has_no_more_digits_than_its_permutations() -> None:
    x, y = np.random.default_rng(11).normal(size=(2, 30, 4))
    assert permutation_test(x + 9, y, 0) == 1 / 2000
    assert permutation_test(x, y, 1) == permutation_test(x, y, 1) != permutation_test(x, y, 2)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"draws": 0}, "draws"), ({"draws": 1.5}, "draws"), ({"level": 1.0}, "level"), ({"level": np.nan}, "level")],
)
def test_bad_input_is_named(change: dict, named: str) -> None:
    x, y = np.zeros((2, 5, 3))
    with pytest.raises(ValueError, match=f"^{named}: "):
        kernel_interval(x, y, 0, **change)
    with pytest.raises(ValueError, match=r"^permutations: 0;"):
        permutation_test(x, y, 0, permutations=0)
    with pytest.raises(ValueError, match=r"^x: 1 images; 2 are needed"):
        kernel_distance(x[:1], y)
