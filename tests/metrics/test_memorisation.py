"""Memorisation: copies are caught however they lie, innocents are left alone at the stated rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthbench.metrics.feature_copying import authenticity, data_copying
from synthbench.metrics.memorisation import compare_distances, nearest_training
from synthbench.metrics.similarity import SIDE, correlations, thumbnails
from synthbench.samples import read_array


def one_by_one(images: np.ndarray, training: np.ndarray) -> np.ndarray:
    def unit(picture: np.ndarray) -> np.ndarray:
        centred = picture - picture.mean()
        return centred / np.linalg.norm(centred)

    ways = [lambda p, f=f, k=k: np.rot90(p.T if f else p, k) for f in (False, True) for k in range(4)]
    return np.array([min(np.linalg.norm(way(unit(a)) - unit(b)) for b in training for way in ways) for a in images])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), m=st.integers(1, 6), side=st.integers(2, 7))
def test_it_is_the_nearest_over_all_pairs_and_symmetries(seed: int, n: int, m: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    images, training = rng.normal(size=(n, side, side)), rng.normal(size=(m, side, side))
    distance, index = nearest_training(images, training)
    np.testing.assert_allclose(distance, one_by_one(images, training), atol=1e-5)
    for i, j in enumerate(index):
        np.testing.assert_allclose(distance[i], one_by_one(images[i : i + 1], training[j : j + 1])[0], atol=1e-5)


def test_blocks_change_nothing() -> None:
    rng = np.random.default_rng(1)
    images, training = rng.normal(size=(9, 8, 8)), rng.normal(size=(50, 8, 8))
    whole = nearest_training(images, training)
    features = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    share = authenticity(*features)
    np.testing.assert_array_equal(nearest_training(images, training, block=7)[0], whole[0])
    np.testing.assert_array_equal(nearest_training(images, training, block=7)[1], whole[1])
    assert authenticity(*features, block=7) == share


@pytest.mark.parametrize("turn", range(8))
def test_a_copy_is_at_no_distance_however_it_lies_and_is_lit(turn: int) -> None:
    training = np.random.default_rng(2).integers(0, 255, (20, 16, 16)).astype(np.uint8)
    copy = np.rot90(training[13].T if turn >= 4 else training[13], turn % 4)
    distance, index = nearest_training(3.5 * copy[None] + 20, training)
    assert index.tolist() == [13]
    assert distance[0] == pytest.approx(0, abs=1e-12)


def test_pictures_without_structure_resemble_nothing() -> None:
    flat, other = np.full((2, 8, 8), 7.0), np.random.default_rng(3).normal(size=(3, 8, 8))
    for pair in ((flat, other), (other, flat), (flat, flat)):
        np.testing.assert_allclose(nearest_training(*pair)[0], np.sqrt(2))


# -- against real images ----------------------------------------------------------------------------------------------

SETS = ("fluo_nuclei_dsb2018/train/images", "histology_dsb2018/train/images", "phase_usiigaci/train/images")


def pictures(folder: Path, limit: int = 300) -> list[np.ndarray]:
    return [read_array(path) for path in sorted(folder.iterdir()) if path.suffix in (".png", ".tif")][:limit]


def small(images: list[np.ndarray]) -> np.ndarray:
    return thumbnails(images).reshape(-1, SIDE, SIDE)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image flipped, turned, and with noise of a tenth of its range."""
    turned = np.rot90(image[:, ::-1], int(rng.integers(4)))
    return turned + 0.1 * np.ptp(turned.astype(np.float64)) * rng.standard_normal(turned.shape)


@pytest.fixture(scope="module")
def nuclei(real_data: Path) -> list[np.ndarray]:
    images = pictures(real_data / SETS[0])
    return [images[i] for i in np.random.default_rng(0).permutation(len(images))]


def test_a_planted_copy_flipped_and_noisy_is_the_one_that_is_caught(nuclei: list[np.ndarray]) -> None:
    training, held_out, drawn = nuclei[: len(nuclei) // 2], nuclei[-60:-30], list(nuclei[-30:])
    drawn[11] = noisy(training[5], np.random.default_rng(1))
    small_training = small(training)
    distance, index = nearest_training(small(drawn), small_training)
    found = compare_distances(distance, nearest_training(small(held_out), small_training)[0])
    assert found["duplicates"] == [11]
    assert index[11] == 5


def test_leakage_of_the_test_set_is_caught_by_taking_it_for_the_training_set(nuclei: list[np.ndarray]) -> None:
    training, test, drawn = nuclei[: len(nuclei) // 2], nuclei[-60:-30], list(nuclei[-30:])
    rng = np.random.default_rng(2)
    drawn[:6] = [noisy(image, rng) for image in test[:6]]
    small_test = small(test)
    distance, index = nearest_training(small(drawn), small_test)
    found = compare_distances(distance, nearest_training(small(training), small_test)[0])
    assert found["duplicates"] == list(range(6))
    assert index[:6].tolist() == list(range(6))


@pytest.mark.parametrize("folder", SETS)
def test_real_images_in_place_of_synthetic_ones_raise_few_alarms(real_data: Path, folder: str) -> None:
    """100 random splits into training, held-out, and innocent: how often is an innocent image called a copy?"""
    every = small(pictures(real_data / folder))
    rng = np.random.default_rng(4)
    flat = every.reshape(len(every), -1)
    table = np.sqrt(2 - 2 * correlations(flat, flat).clip(-1, 1))
    flagged = near = below = 0.0
    quarter = len(every) // 4
    for _ in range(100):
        order = rng.permutation(len(every))
        innocent, held_out, training = order[:quarter], order[quarter : 2 * quarter], order[2 * quarter :]
        found = compare_distances(*(table[np.ix_(part, training)].min(axis=1) for part in (innocent, held_out)))
        flagged += len(found["duplicates"]) / quarter
        near += (found["near"] - found["expected"]) / 100
        below += found["z"] < -3
    print(f"\n{folder}: copies {flagged:.2f} %, near − expected {near:.3f}, z < −3 in {below:.0f} %")
    assert flagged / 100 <= 0.005
    assert abs(near) < 0.03
    assert below <= 2


# -- calibration ------------------------------------------------------------------------------------------------------


def test_innocent_sets_are_near_as_often_as_stated() -> None:
    rng = np.random.default_rng(5)
    for m in (5, 19, 60):
        found = [compare_distances(rng.gamma(3, size=40), rng.gamma(3, size=m)) for _ in range(800)]
        near = np.array([f["near"] for f in found])
        assert near.mean() == pytest.approx(found[0]["expected"], abs=4 * near.std() / np.sqrt(len(near)))
        z = np.array([f["z"] for f in found])
        assert abs(z.mean()) < 0.15
        assert z.std() == pytest.approx(1, abs=0.1)


def test_z_is_scipys_mann_whitney() -> None:
    rng = np.random.default_rng(6)
    for decimals in (12, 1):
        a, b = rng.gamma(3, size=30).round(decimals), rng.gamma(3.5, size=50).round(decimals)
        z = compare_distances(a, b)["z"]
        expected = stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
        assert 2 * stats.norm.sf(abs(z)) == pytest.approx(expected.pvalue, rel=1e-9)
        assert (z < 0) == (expected.statistic < 750)
    assert compare_distances(np.ones(3), np.ones(4))["z"] == 0


# -- authenticity and C_T ---------------------------------------------------------------------------------------------


def test_authenticity_is_the_papers_definition() -> None:
    rng = np.random.default_rng(7)
    training, synthetic = rng.normal(size=(25, 4)), rng.normal(size=(40, 4))
    between = np.linalg.norm(training[:, None] - training, axis=2) + np.diag(np.full(25, np.inf))
    to = np.linalg.norm(synthetic[:, None] - training, axis=2)
    expected = np.mean([row.min() > between[row.argmin()].min() for row in to])
    assert authenticity(training, synthetic) == expected
    assert authenticity(training, training + 1e-6) == 0
    assert authenticity(training, synthetic + 100) == 1


def test_c_t_of_one_cell_is_mann_whitneys_z() -> None:
    rng = np.random.default_rng(8)
    training, held_out, synthetic = (rng.normal(size=(n, 5)) for n in (80, 45, 60))
    to = [np.linalg.norm(part[:, None] - training, axis=2).min(axis=1) for part in (synthetic, held_out)]
    assert data_copying(training, held_out, synthetic) == pytest.approx(compare_distances(*to)["z"], rel=1e-9)


@pytest.mark.parametrize("cells", [1, 4])
def test_c_t_of_innocent_sets_is_seldom_below_minus_three_and_of_copies_always(cells: int) -> None:
    rng = np.random.default_rng(9)
    innocent, copied = [], []
    for _ in range(300):
        training, held_out, synthetic = (rng.normal(size=(60, 6)) for _ in range(3))
        innocent.append(data_copying(training, held_out, synthetic, cells=cells))
        copied.append(data_copying(training, held_out, training + 0.2 * synthetic, cells=cells))
    assert np.mean(np.array(innocent) < -3) <= 0.01
    assert abs(np.mean(innocent)) < 0.25
    assert np.std(innocent) < 1.1
    assert max(copied) < -3


def test_c_t_finds_copies_in_one_region_alone() -> None:
    rng = np.random.default_rng(10)
    centres = np.repeat([[0.0, 0], [50, 0]], 100, axis=0)
    training, held_out, synthetic = (centres + rng.normal(size=(200, 2)) for _ in range(3))
    assert abs(data_copying(training, held_out, synthetic, cells=2)) < 3
    synthetic[:100] = training[:100] + 0.01 * rng.normal(size=(100, 2))
    assert data_copying(training, held_out, synthetic, cells=2) < -3


def test_by_default_there_are_never_more_cells_than_the_images_allow() -> None:
    rng = np.random.default_rng(11)
    few, many, drawn = (rng.normal(size=(n, 4)) for n in (10, 600, 50))
    assert data_copying(few, many, drawn) == data_copying(few, many, drawn, cells=10)
    apart = np.repeat([[0.0, 0], [90, 0]], 50, axis=0) + rng.normal(size=(100, 2))
    held_out, synthetic = np.repeat(apart[:50], 2, axis=0), apart[50:]
    assert data_copying(apart, held_out, synthetic) == data_copying(apart, held_out, synthetic, cells=1)
    with pytest.raises(ValueError, match=r"^cells: none of the 2 holds"):
        data_copying(apart, held_out, synthetic, cells=2)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: nearest_training(np.zeros((2, 4, 5)), np.zeros((2, 4, 4))), "images"),
        (lambda: nearest_training(np.zeros((2, 4, 4)), np.zeros((2, 5, 5))), "training"),
        (lambda: nearest_training(np.zeros((2, 4, 4)), np.zeros((0, 4, 4))), "training"),
        (lambda: nearest_training(np.full((2, 4, 4), np.nan), np.zeros((2, 4, 4))), "images"),
        (lambda: nearest_training(np.zeros((2, 4, 4), complex), np.zeros((2, 4, 4))), "images"),
        (lambda: compare_distances(np.array([]), np.ones(3)), "synthetic"),
        (lambda: compare_distances(np.ones(3), np.array([1, np.nan])), "held_out"),
        (lambda: compare_distances(np.ones(3), np.array([-1.0])), "held_out"),
        (lambda: authenticity(np.zeros((1, 2)), np.zeros((3, 2))), "training"),
        (lambda: authenticity(np.zeros((5, 2)), np.zeros((3, 3))), "synthetic"),
        (lambda: data_copying(*np.zeros((3, 5, 2)), cells=6), "cells: 6"),
        (lambda: data_copying(*np.zeros((3, 5, 2)), cells=1.5), "cells: 1.5"),
        (lambda: data_copying(*np.full((3, 5, 2), 1e60)), "training"),
        (lambda: data_copying(np.zeros((5, 2)), np.full((3, 2), np.inf), np.zeros((3, 2))), "held_out"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call: object, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        call()
