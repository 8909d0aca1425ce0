"""The Fréchet distance: closed forms, the matrix root that it avoids, and clean-fid's figure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from synthbench.metrics.frechet import frechet_distance


def by_matrix_root(x: np.ndarray, y: np.ndarray) -> float:
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root = scipy.linalg.sqrtm(first @ second)
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root).real)


def exactly(features: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Shift and shear features so that their sample mean and covariance are these."""
    centred = features - features.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 16), (60, 90, 16), (40, 25, 20), (2000, 21, 20)])
def test_it_is_the_formula_with_the_matrix_root(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 1
    y = rng.normal(size=(m, d)) @ rng.normal(size=(d, d))
    assert frechet_distance(x, y) == pytest.approx(by_matrix_root(x, y), rel=1e-7)


def test_commuting_gaussians_have_a_closed_form() -> None:
    rng = np.random.default_rng(3)
    a, b = np.array([1.0, 4.0, 0.25, 9.0]), np.array([4.0, 1.0, 2.25, 9.0])
    x = exactly(rng.normal(size=(50, 4)), np.zeros(4), np.diag(a))
    y = exactly(rng.normal(size=(70, 4)), np.array([3.0, 0, 4.0, 0]), np.diag(b))
    assert frechet_distance(x, y) == pytest.approx(25 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-10)


def test_fewer_images_than_features_give_the_same_as_padding_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(40, 8)), rng.normal(size=(30, 8)) + 0.5
    wide = [np.pad(part, ((0, 0), (0, 200))) for part in (x, y)]
    turn = np.linalg.qr(rng.normal(size=(208, 208)))[0]
    assert frechet_distance(*(part @ turn for part in wide)) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_the_same_features_are_at_no_distance() -> None:
    x = np.random.default_rng(5).normal(size=(30, 64)).astype(np.float32)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x[::-1]) >= 0


def test_few_images_score_far_from_their_own_distribution() -> None:
    rng = np.random.default_rng(6)
    distances = [frechet_distance(*rng.normal(size=(2, n, 256))) for n in (30, 100, 500, 2000)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 300
    assert distances[-1] < 20


def test_clean_fid_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fid = pytest.importorskip("cleanfid.fid")
    root = scipy.linalg.sqrtm
    # clean-fid asks for an argument that newer SciPy dropped.
    monkeypatch.setattr(fid.linalg, "sqrtm", lambda a, disp=True: root(a) if disp else (root(a), 0.0))
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(300, 24)), rng.normal(size=(200, 24)) * 1.2 + 0.1
    theirs = fid.frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-7)


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "x: 1 images"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "y: 4 features"),
        (np.zeros(5), np.zeros((5, 4)), "x: shape"),
        (np.zeros((5, 0)), np.zeros((5, 0)), "x: shape"),
        (np.zeros((5, 2)), np.full((5, 2), np.nan), "y: a feature isn't finite"),
        (np.zeros((5, 2), complex), np.zeros((5, 2)), "x: complex128"),
    ],
)
def test_bad_input_is_named(x: np.ndarray, y: np.ndarray, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        frechet_distance(x, y)
