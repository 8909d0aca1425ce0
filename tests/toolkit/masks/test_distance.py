"""The distance codec: what it draws, and that decoding finds again what was drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from synthbench.metrics.matching import count, pooled
from synthbench.samples import SampleSet, read_array
from synthbench.toolkit.masks.distance import (
    DistanceDecoder,
    Thresholds,
    bounding_boxes,
    decode,
    decode_components,
    drop_small,
    encode,
    inner_borders,
    mean_foreground,
    normalised_distance,
    restore_borders,
)

any_labels = hnp.arrays(
    np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14), elements=st.integers(0, 5)
)


def discs(*centres: tuple[float, float], radius: float = 9, size: int = 64) -> np.ndarray:
    yy, xx = np.mgrid[:size, :size]
    out = np.zeros((size, size), np.int32)
    for label, (y, x) in enumerate(centres, 1):
        out[((yy - y) ** 2 + (xx - x) ** 2 <= radius**2) & (out == 0)] = label
    return out


@settings(max_examples=60, deadline=None)
@given(any_labels)
def test_distance_is_that_of_each_instance_alone(labels: np.ndarray) -> None:
    found = normalised_distance(labels)
    assert found.dtype == np.float32
    assert ((found > 0) == (labels > 0)).all()
    for label in set(labels.ravel()) - {0}:
        alone = labels == label
        expected = np.ones(labels.shape) if alone.all() else ndimage.distance_transform_edt(alone)
        np.testing.assert_allclose(found[alone], (expected / expected.max())[alone], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(any_labels)
def test_inner_borders_are_where_two_instances_meet(labels: np.ndarray) -> None:
    expected = np.zeros(labels.shape, bool)
    padded = np.pad(labels, 1)
    for y, x in np.argwhere(labels > 0):
        around = padded[y : y + 3, x : x + 3]
        expected[y, x] = ((around > 0) & (around != labels[y, x])).any()
    np.testing.assert_array_equal(inner_borders(labels), expected)


@settings(max_examples=60, deadline=None)
@given(any_labels)
def test_boxes_hold_their_instances(labels: np.ndarray) -> None:
    huge = labels.astype(np.int64) * 400_000_000
    assert [box for _, box in bounding_boxes(labels)] == [box for _, box in bounding_boxes(huge)]
    assert [label * 400_000_000 for label, _ in bounding_boxes(labels)] == [label for label, _ in bounding_boxes(huge)]
    for label, box in bounding_boxes(labels):
        assert (labels[box] == label).sum() == (labels == label).sum()
        inside = labels[box] == label
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_planes_of_two_touching_squares() -> None:
    labels = np.zeros((5, 8), np.uint8)
    labels[1:4, 1:4] = 1
    labels[1:4, 4:7] = 2
    distance, foreground = encode(labels)
    np.testing.assert_allclose(distance[2], [0, 0.5, 1, 0.5, 0.5, 1, 0.5, 0])
    np.testing.assert_array_equal(foreground[2], [0, 1, 1, 0, 0, 1, 1, 0])


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, (2, 13, 9), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 20),
)
def test_any_planes_decode_to_instances_within_the_foreground(
    planes: np.ndarray, level: float, valley: float, area: int
) -> None:
    thresholds = Thresholds(foreground=level, seed=0.2, valley=valley, area=area)
    for labels in (decode(planes[0], planes[1], thresholds), decode_components(planes[1], thresholds)):
        assert labels.dtype == np.int32
        sizes = np.bincount(labels.ravel())
        assert (sizes[1:] >= area).all()
        assert not labels[planes[1] < level].any()
        assert len(mean_foreground(labels, planes[1])) == labels.max()
        for label in range(1, labels.max() + 1):
            assert ndimage.label(labels == label)[1] == 1


def test_touching_discs_come_apart() -> None:
    labels = discs((20, 20), (20, 36), (33, 28))
    assert ndimage.label(labels)[1] == 1
    found = decode(normalised_distance(labels), labels > 0)
    assert count(labels, found, (0.9,)).tp[0] == found.max() == 3


def test_an_instance_with_two_humps_stays_one() -> None:
    yy, xx = np.mgrid[:40, :64]
    waist = 8 + 0.6 * np.cos((xx - 16) / 32 * 2 * np.pi)
    labels = (np.abs(yy - 20) <= waist) & (xx > 8) & (xx < 56)
    distance = normalised_distance(labels.astype(np.uint8))
    assert decode(distance, labels).max() == 1
    assert decode(distance, labels, Thresholds(valley=0.01)).max() > 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (17, 23)])
def test_blank_planes_hold_nothing_and_full_ones_one_instance(shape: tuple[int, int]) -> None:
    assert not decode(np.zeros(shape), np.zeros(shape)).any()
    assert mean_foreground(np.zeros(shape, int), np.zeros(shape)).shape == (0,)
    full = np.ones(shape, np.float32)
    assert (decode(full, full, Thresholds(area=1)) == 1).all()
    np.testing.assert_array_equal(normalised_distance(full.astype(np.uint8)), full)


def test_scores_are_mean_foreground() -> None:
    labels = np.array([[1, 1, 0], [0, 2, 2]])
    foreground = np.array([[0.5, 1.0, 0.3], [0.2, 0.25, 0.75]])
    np.testing.assert_allclose(mean_foreground(labels, foreground), [0.75, 0.5])


def test_tidying_drops_the_small_and_closes_gaps() -> None:
    labels = np.array([[3, 3, 3, 0], [9, 7, 7, 7]])
    np.testing.assert_array_equal(drop_small(labels, 2), [[1, 1, 1, 0], [0, 2, 2, 2]])


def test_perfect_planes_of_real_nuclei_give_the_nuclei_back(real_data) -> None:
    folder = real_data / "fluo_nuclei_dsb2018" / "test" / "labels"
    truths = [read_array(path) for path in sorted(folder.glob("*.png"))[:12]]
    found = [decode(normalised_distance(truth), truth > 0) for truth in truths]
    f1 = pooled(count(a, b) for a, b in zip(truths, found, strict=True))["f1"]
    assert f1[0] > 0.98
    assert f1[8] > 0.95


def test_planes_of_pictures_survive_noise(blob_set: SampleSet) -> None:
    rng = np.random.default_rng(2)
    counts = []
    for sample in blob_set:
        planes = np.stack([normalised_distance(sample.labels), sample.labels > 0]).astype(np.float32)
        noisy = ndimage.gaussian_filter(planes + 0.5 * rng.standard_normal(planes.shape), (0, 1, 1))
        counts.append(count(sample.labels, decode(*noisy)))
    assert pooled(counts)["f1"][0] > 0.85


def test_borders_between_instances_are_given_back_and_real_gaps_stay() -> None:
    labels = np.zeros((24, 40), np.int32)
    labels[4:20, 3:15], labels[4:20, 15:27], labels[4:20, 28:38] = 1, 2, 3
    planes = encode(labels)
    decoded = decode(*planes)
    assert (restore_borders(decoded, planes[0]) == labels).all()
    assert (decoded != labels).sum() == 2 * 16
    apart = np.where(labels > 0, labels, 0)[:, [*range(15), *range(27, 40)]]
    planes = encode(apart)
    assert ((restore_borders(decode(*planes), planes[0]) > 0) == (apart > 0)).all()
    assert not restore_borders(np.zeros((4, 4), np.int32), np.ones((4, 4))).any()


def test_many_thresholds_give_what_each_gives_alone() -> None:
    rng = np.random.default_rng(0)
    distance = ndimage.gaussian_filter(rng.random((70, 90)), 2)
    distance = (distance - distance.min()) / np.ptp(distance)
    foreground = np.clip(distance + rng.normal(0, 0.05, distance.shape), 0, 1)
    decoder, counts = DistanceDecoder(distance, foreground), set()
    grid = itertools.product((0.3, 0.5, 1.1), (0.1, 0.6), (0.05, 0.3), (1, 32))
    for inside, seed, valley, area in [*grid, (0.3, 0.1, 0.05, 1)]:
        thresholds = Thresholds(foreground=inside, seed=seed, valley=valley, area=area)
        np.testing.assert_array_equal(decoder.labels(thresholds), decode(distance, foreground, thresholds))
        counts.add(int(decoder.labels(thresholds).max()))
    assert len(counts) > 3
