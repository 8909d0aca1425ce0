"""Precision, recall, density, coverage: against the package of density's authors, and where the answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.metrics import prdc as module
from synthbench.metrics.prdc import prdc


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 60, 8, 5), (40, 90, 3, 3), (50, 30, 64, 1)])
def test_the_authors_package_says_the_same(n: int, m: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = pytest.importorskip("prdc")
    monkeypatch.setattr(module, "BLOCK", 16)
    rng = np.random.default_rng(n)
    real, synthetic = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 0.8 + 0.2
    expected = oracle.compute_prdc(real, synthetic, nearest_k=k)
    assert prdc(real, synthetic, k) == pytest.approx(expected)


def test_one_copied_image_is_precise_and_covers_little() -> None:
    real = np.random.default_rng(1).normal(size=(100, 16))
    find_duplicates = real[:1] + 1e-9 * np.random.default_rng(2).normal(size=(50, 16))
    scores = prdc(real, find_duplicates)
    assert scores["precision"] == 1
    assert scores["recall"] == 0.01
    assert scores["coverage"] < 0.3


def test_far_away_is_zero_everywhere_and_the_same_is_full() -> None:
    real = np.random.default_rng(3).normal(size=(50, 4))
    assert set(prdc(real, real + 100).values()) == {0.0}
    same = prdc(real, real.copy())
    assert same["precision"] == same["recall"] == same["coverage"] == 1


def plainly(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    """Each figure as it is defined, from one difference after the other."""

    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([[((x - y) ** 2).sum() for y in b] for x in a])

    balls = np.sort(squared(real, real), axis=1)[:, k]
    others = np.sort(squared(synthetic, synthetic), axis=1)[:, k]
    table = squared(real, synthetic)
    inside = table < balls[:, None]
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": (table < others).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / k,
        "coverage": inside.any(axis=1).mean(),
    }


@pytest.mark.parametrize("seed", range(12))
def test_what_lies_on_a_ball_is_not_in_it(seed: int) -> None:
    """A set of copies lies on the balls: rounding must not decide."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(30, 40)) + 5
    copied = real[rng.integers(30, size=25)]
    assert prdc(real, copied) == pytest.approx(plainly(real, copied, 5))
    grid = rng.integers(0, 4, (2, 20, 2)) * 0.1 + 0.37
    assert prdc(*grid) == pytest.approx(plainly(*grid, 5))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"^synthetic: 5 images; 6 are needed"):
        prdc(np.zeros((9, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"^neighbours: 0"):
        prdc(np.zeros((9, 2)), np.zeros((5, 2)), 0)
    with pytest.raises(ValueError, match=r"^neighbours: 1.5; give a whole number"):
        prdc(np.zeros((9, 2)), np.zeros((9, 2)), 1.5)
