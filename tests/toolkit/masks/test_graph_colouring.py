"""Instances survive as grey levels: exactly when clean, nearly when blurred and noisy, and what is lost is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from synthbench.metrics.contacts import touching_pairs
from synthbench.metrics.matching import count
from synthbench.toolkit.masks.graph_colouring import decode, encode, greedy_colouring

ALL = (1, 10**9)


def crowd(side: int = 160, cells: int = 70, seed: int = 0) -> np.ndarray:
    """Return touching cells: the Voronoi regions of random points, cut to discs."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, side, (cells, 2))
    grid = np.stack(np.mgrid[:side, :side], axis=-1)
    distance = np.linalg.norm(grid[:, :, None] - points, axis=-1)
    return np.where(distance.min(axis=-1) < 11, distance.argmin(axis=-1) + 1, 0).astype(np.int32)


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    counts = count(truth, found, [0.5])
    return float(2 * counts.tp[0] / (counts.true + counts.predicted))


def in_one_piece(labels: np.ndarray) -> np.ndarray:
    """Return the label map with each object's pieces as objects, diagonals joined."""
    out, total = np.zeros(labels.shape, np.int32), 0
    for label in np.unique(labels[labels > 0]):
        pieces, many = ndimage.label(labels == label, np.ones((3, 3)))
        out[pieces > 0] = pieces[pieces > 0] + total
        total += many
    return out


@given(hnp.arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)))
def test_a_clean_round_trip_is_exact(labels: np.ndarray) -> None:
    labels = in_one_piece(labels)
    there = encode(labels, 255, np.random.default_rng(0))
    back = decode(there.plane, 255, ALL)
    assert there.dropped == back.removed == 0
    pairs = set(zip(labels.ravel().tolist(), back.labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(back.labels))
    assert ((labels > 0) == (back.labels > 0)).all()


@given(hnp.arrays(np.int32, (8, 8), elements=st.integers(0, 5)))
def test_no_two_that_touch_share_a_level(labels: np.ndarray) -> None:
    level = greedy_colouring(labels, 5)
    assert level[0] == 0
    for a, b in touching_pairs(labels).tolist():
        assert level[a] != level[b]


def test_pairs_by_hand() -> None:
    labels = np.array([[1, 0, 2], [0, 3, 0], [0, 0, 0], [4, 0, 3]])
    assert touching_pairs(labels).tolist() == [[1, 3], [2, 3]]


def test_objects_beyond_the_levels_are_dropped_and_counted() -> None:
    labels = np.array([[1, 2], [3, 4]])
    found = encode(labels, 3)
    assert (found.kept, found.dropped) == (3, 1)
    assert found.plane.tolist() == [[85, 170], [255, 0]]


def test_ids_may_have_gaps_and_no_background() -> None:
    assert encode(np.array([[7, 900_000_000]]), 2).plane.tolist() == [[128, 255]]
    assert encode(np.zeros((3, 3), np.uint16), 2).kept == 0


def test_the_seed_shuffles_levels_and_nothing_else() -> None:
    labels = crowd()
    planes = [encode(labels, 4, np.random.default_rng(seed)).plane for seed in range(6)]
    assert len({plane.tobytes() for plane in planes}) > 1
    assert len({(plane > 0).tobytes() for plane in planes}) == 1


@pytest.mark.parametrize(("blur", "noise", "least"), [(1.0, 10, 0.94), (1.0, 30, 0.88), (1.5, 20, 0.84)])
def test_blur_and_noise_cost_little(blur: float, noise: float, least: float) -> None:
    """Nearest level and connected pieces alone would make thousands of objects of rims and noise."""
    labels = crowd()
    rng = np.random.default_rng(3)
    plane = encode(labels, 6, rng).plane.astype(np.float32)
    drawn = ndimage.gaussian_filter(plane, blur) + rng.normal(0, noise * 4 / 6, plane.shape)
    assert f1(labels, decode(drawn, 6, (20, 600)).labels) >= least


def test_objects_of_other_areas_are_removed_and_counted() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[2:4, 2:4], labels[8:18, 8:18] = 1, 2
    back = decode(encode(labels, 2).plane, 2, (5, 1000))
    assert back.removed == 1
    assert back.labels.max() == 1
    assert (back.labels > 0).sum() == 100


def test_planes_without_anything_have_no_objects() -> None:
    assert decode(np.zeros((9, 9)), 4, ALL).labels.max() == 0
    noise = np.random.default_rng(0).normal(0, 5, (32, 32))
    assert decode(noise, 4, ALL).labels.max() == 0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: encode(np.zeros((4, 4), np.int32), 0), "levels"),
        (lambda: encode(np.zeros((4, 4)), 3), "labels"),
        (lambda: decode(np.zeros((4, 4)), 256, ALL), "levels"),
        (lambda: decode(np.zeros((4, 4)), 3, (9, 3)), "areas"),
        (lambda: decode(np.full((4, 4), np.nan), 3, ALL), "plane"),
    ],
)
def test_what_cannot_be_used_is_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        call()


@pytest.mark.parametrize("radius", [2.0, 3.0])
def test_small_objects_that_are_flat_nowhere_are_not_lost(radius: float) -> None:
    down, right = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.int32)
    for k in range(16):
        labels[np.hypot(down - 16 - 32 * (k // 4), right - 16 - 32 * (k % 4)) <= radius] = k + 1
    plane = ndimage.gaussian_filter(encode(labels, 4).plane.astype(float), 1)
    found = decode(plane + np.random.default_rng(0).normal(0, 6, plane.shape), 4, (5, 400))
    assert (found.labels.max(), found.removed) == (16, 0)
