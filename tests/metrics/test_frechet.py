"""The Fréchet distance: closed forms, the matrix root that it avoids, and clean-fid's figure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from synthbench.metrics import frechet
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


@pytest.mark.parametrize(("steep", "apart"), [(0.0, 1.0), (0.1, 1.0), (0.0, 1e-3), (0.0, 0.0)])
def test_squaring_large_matrices_changes_no_digit_that_counts(
    steep: float, apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(10)
    scales = np.exp(-steep * np.arange(300))
    x = rng.normal(size=(200, 300)) * scales
    y = (1 - apart) * x + apart * rng.normal(size=(200, 300)) * scales
    exact = frechet_distance(x, y)
    monkeypatch.setattr(frechet, "LARGE", 2)
    assert frechet_distance(x, y) == pytest.approx(exact, rel=1e-8, abs=1e-10)
    assert frechet_distance(np.zeros((5, 4)), np.zeros((5, 4))) == 0


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


def in_sixty_digits(x: np.ndarray, y: np.ndarray) -> float:
    """The formula as it stands, with the eigenvalues of Σ₁ Σ₂."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):

        def moments(part: np.ndarray) -> tuple[list, object]:
            rows = [[mpmath.mpf(float(v)) for v in row] for row in part]
            mean = [mpmath.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
            centred = mpmath.matrix([[v - m for v, m in zip(row, mean, strict=True)] for row in rows])
            return mean, centred.T * centred / (len(rows) - 1)

        (m1, s1), (m2, s2) = moments(x), moments(y)
        values = mpmath.eig(s1 * s2, left=False, right=False)
        roots = mpmath.fsum(mpmath.re(mpmath.sqrt(value)) for value in values)
        shift = mpmath.fsum((a - b) ** 2 for a, b in zip(m1, m2, strict=True))
        return float(shift + sum(s1[i, i] + s2[i, i] for i in range(len(m1))) - 2 * roots)


@pytest.mark.parametrize(("n", "m", "lowest"), [(40, 30, -6), (6, 5, -6), (40, 30, -12), (5, 40, -12)])
def test_badly_conditioned_features_are_right_to_nine_digits(n: int, m: int, lowest: int) -> None:
    rng = np.random.default_rng(8)
    scales = np.logspace(0, lowest, 10)
    turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    x, y = (rng.normal(size=(k, 10)) * scales @ turn for k in (n, m))
    assert frechet_distance(x, y) == pytest.approx(in_sixty_digits(x, y), rel=1e-9)


def test_where_the_matrix_root_loses_digits_none_are_lost() -> None:
    """Two sets that differ a little, in fewer images than dimensions: most eigenvalues of Σ₁ Σ₂ are 0."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(6, 24))
    y = x + 1e-4 * rng.normal(size=x.shape)
    exact = in_sixty_digits(x, y)
    assert frechet_distance(x, y) == pytest.approx(exact, rel=1e-6)
    assert abs(by_matrix_root(x, y) / exact - 1) > 1e-3


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
