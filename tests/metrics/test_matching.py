"""Matching: against StarDist, Cellpose, an obvious slow version, and cases counted by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.segmentation import relabel_sequential

from synthbench.metrics.matching import (
    IOU_THRESHOLDS,
    PANOPTIC_IOU,
    count,
    per_image,
    pooled,
    pooled_dice,
    quality,
    touching,
)
from synthbench.samples import read_array

STARDIST_NAMES = {"precision": "precision", "recall": "recall", "f1": "f1", "jaccard_ap": "accuracy"}


@st.composite
def label_pairs(draw: st.DrawFn, *, most: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two label maps of one shape; the second is often a disturbed copy of the first."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))
    labels = hnp.arrays(np.uint16, shape, elements=st.integers(0, most))
    truth = draw(labels)
    if draw(st.booleans()):
        return truth, draw(labels)
    noise = draw(hnp.arrays(bool, shape, elements=st.booleans()))
    return truth, np.where(noise & draw(hnp.arrays(bool, shape)), draw(labels), truth)


def slow(truth: np.ndarray, predicted: np.ndarray, threshold: float) -> tuple[int, float]:
    """Best matching by trying them all: most pairs, then largest sum of IoUs."""
    true = [truth == i for i in np.unique(truth) if i]
    found = [predicted == i for i in np.unique(predicted) if i]
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in found] for a in true]).reshape(len(true), len(found))
    if len(true) > len(found):
        iou = iou.T
    best = (0, 0.0)
    for choice in itertools.permutations(range(iou.shape[1]), iou.shape[0]):
        scores = iou[range(iou.shape[0]), choice] if choice else np.zeros(0)
        scores = scores[scores >= threshold]
        best = max(best, (len(scores), round(float(scores.sum()), 9)))
    return best


@settings(max_examples=150, deadline=None)
@given(label_pairs(most=5), st.sampled_from([0.05, 0.2, 1 / 3, 0.4, 0.5, 0.6, 0.75, 1.0]))
def test_matching_is_the_best_of_all_matchings(pair: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    counts = count(*pair, thresholds=[threshold])
    pairs, total = slow(*pair, threshold)
    assert counts.tp[0] == pairs
    assert counts.iou_sum[0] == pytest.approx(total, abs=1e-8)


@settings(max_examples=100, deadline=None)
@given(label_pairs(most=9))
def test_matching_agrees_with_stardist(pair: tuple[np.ndarray, np.ndarray]) -> None:
    matching = pytest.importorskip("stardist.matching").matching
    thresholds = (0.1, 0.3, *IOU_THRESHOLDS)
    counts = count(*pair, thresholds=thresholds)
    if pair[0].max() == 0 or pair[1].max() == 0:
        assert not counts.tp.any()
        return
    expected = matching(*pair, thresh=thresholds)
    assert counts.tp.tolist() == [e.tp for e in expected]
    assert counts.fp.tolist() == [e.fp for e in expected]
    assert counts.fn.tolist() == [e.fn for e in expected]
    # Below .5 StarDist lets pairs under the threshold decide between equally many matches.
    scores = [e.mean_matched_score * e.tp for e in expected[2:]]
    np.testing.assert_allclose(counts.iou_sum[2:], scores, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(label_pairs(most=9))
def test_jaccard_ap_is_cellposes_average_precision(pair: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("cellpose.metrics")
    if not pair[0].any() or not pair[1].any():
        return
    # Cellpose takes gaps in the labels for instances, and wants more than the threshold.
    truth, predicted = (relabel_sequential(labels)[0] for labels in pair)
    above_half = [t + 1e-6 for t in IOU_THRESHOLDS]
    expected = metrics.average_precision([truth], [predicted], above_half)[0][0]
    np.testing.assert_allclose(pooled([count(truth, predicted, above_half)])["jaccard_ap"], expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(label_pairs(), st.permutations(range(7)))
def test_matching_knows_no_names_no_order_and_no_direction(
    pair: tuple[np.ndarray, np.ndarray], order: list[int]
) -> None:
    truth, predicted = pair
    names = np.array([0, *(2**31 - 1 - 1000 * np.array(order[1:]))]) if order[0] == 0 else np.arange(7) * 2**28
    plain = count(truth, predicted)
    renamed = count(names[truth], predicted)
    assert (renamed.true, renamed.tp.tolist()) == (plain.true, plain.tp.tolist())
    swapped = count(predicted, truth)
    assert (swapped.tp.tolist(), swapped.fp.tolist()) == (plain.tp.tolist(), plain.fn.tolist())
    turned = count(truth.T[::-1], predicted.T[::-1])
    assert turned.iou_sum == pytest.approx(plain.iou_sum)


def discs(shift: int) -> np.ndarray:
    """Nine squares of 20², 30 pixels apart, moved sideways."""
    labels = np.zeros((100, 120), np.uint16)
    for i in range(9):
        y, x = 5 + 30 * (i // 3), 5 + 30 * (i % 3) + shift
        labels[y : y + 20, x : x + 20] = i + 1
    return labels


@pytest.mark.parametrize(("shift", "iou"), [(0, 1.0), (1, 19 / 21), (2, 18 / 22), (5, 15 / 25), (8, 12 / 28)])
def test_moved_squares_match_as_long_as_their_iou_on_paper_allows(shift: int, iou: float) -> None:
    counts = count(discs(0), discs(shift))
    assert counts.tp.tolist() == [9 if iou >= t else 0 for t in IOU_THRESHOLDS]
    assert counts.iou_sum[0] == pytest.approx(9 * iou if iou >= 0.5 else 0)
    assert counts.dice == pytest.approx((20 - shift) / 20)


@pytest.mark.parametrize("twentieths", range(10, 20))
def test_an_iou_of_exactly_the_threshold_matches(twentieths: int) -> None:
    truth, predicted = np.ones((1, 20), int), np.zeros((1, 20), int)
    predicted[0, :twentieths] = 1
    index = twentieths - 10
    assert count(truth, predicted).tp.tolist() == [1] * (index + 1) + [0] * (9 - index)


def test_of_two_exact_halves_one_matches() -> None:
    whole, halves = np.ones((4, 4), int), np.ones((4, 4), int)
    halves[:, 2:] = 2
    for pair in ((whole, halves), (halves, whole)):
        counts = count(*pair)
        assert counts.tp.tolist() == [1] + [0] * 9
        assert counts.iou_sum[0] == 0.5


def test_low_thresholds_prefer_more_pairs_to_a_better_pair() -> None:
    truth = np.array([[1] * 10 + [2] * 5])
    predicted = np.array([[8] * 3 + [9] * 12])
    # 1–9 is the best pair, 7/15; 1–8 and 2–9 are two, 3/10 and 5/12.
    counts = count(truth, predicted, [0.3, 0.4, 0.45])
    assert counts.tp.tolist() == [2, 1, 1]
    assert counts.iou_sum == pytest.approx([3 / 10 + 5 / 12, 7 / 15, 7 / 15])


def test_empty_images_and_one_sided_ones() -> None:
    empty, one = np.zeros((5, 5), np.uint8), np.pad(np.ones((2, 2), np.uint8), 1)[:5, :5]
    one = np.pad(one, ((0, 1), (0, 1)))
    both = count(empty, empty)
    assert both.empty
    assert (both.true, both.predicted, both.dice) == (0, 0, 0.0)
    missed, invented = count(one, empty), count(empty, one)
    assert (missed.fn[0], missed.fp[0]) == (1, 0)
    assert (invented.fn[0], invented.fp[0]) == (0, 1)
    assert not missed.empty
    no_pixels = count(np.zeros((0, 7), int), np.zeros((0, 7), int))
    assert no_pixels.empty


def test_empty_images_are_left_out_of_per_image_but_half_empty_ones_are_not() -> None:
    empty, one = np.zeros((3, 3), int), np.eye(3, dtype=int)
    perfect, nothing, missed = count(one, one), count(empty, empty), count(one, empty)
    assert per_image([perfect, nothing])["f1"].tolist() == [1.0] * 10
    assert per_image([perfect, missed])["f1"].tolist() == [0.5] * 10
    assert per_image([nothing])["f1"].tolist() == [0.0] * 10
    assert pooled([nothing])["precision"].tolist() == [0.0] * 10


def test_pooled_and_per_image_differ_where_images_differ_in_size() -> None:
    crowd = np.arange(1, 10).reshape(3, 3)
    alone = np.array([[1, 0, 0]] * 3)
    counts = [count(crowd, crowd), count(alone, np.roll(alone, 1, axis=1))]
    assert pooled(counts)["precision"][0] == pytest.approx(9 / 10)
    assert per_image(counts)["precision"][0] == pytest.approx(1 / 2)
    assert pooled(counts)["jaccard_ap"][0] == pytest.approx(9 / 11)
    assert pooled_dice(counts) == pytest.approx(18 / 24)


def test_panoptic_quality_is_segmentation_times_recognition() -> None:
    truth = np.zeros((10, 20), int)
    truth[:, :8], truth[:, 12:] = 1, 2
    predicted = np.zeros_like(truth)
    predicted[:, :6] = 1
    scores = quality([count(truth, predicted)])
    assert scores["sq"][0] == pytest.approx(6 / 8)
    assert scores["rq"][0] == pytest.approx(2 / 3)
    assert scores["pq"][0] == pytest.approx(0.75 / 1.5)
    assert scores["pq"][-1] == 0


def test_panoptic_quality_wants_more_than_half() -> None:
    whole, half = np.ones((1, 6), int), np.array([[1, 1, 1, 0, 0, 0]])
    counts = count(whole, half, [0.5, PANOPTIC_IOU])
    assert counts.tp.tolist() == [1, 0]
    assert quality([counts])["pq"].tolist() == [0.5, 0]


def test_quality_by_image_is_the_mean_over_images_that_have_instances() -> None:
    truth, nothing = np.array([[1, 1, 1, 1, 0, 2, 2, 2]]), np.zeros((1, 8), int)
    found = np.array([[1, 1, 1, 0, 0, 0, 0, 0]])
    counts = [count(truth, truth), count(truth, found), count(nothing, nothing)]
    scores = quality(counts, by_image=True)
    assert scores["sq"][0] == pytest.approx((1 + 3 / 4) / 2)
    assert scores["rq"][0] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["pq"][0] == pytest.approx((1 + 3 / 4 * 2 / 3) / 2)
    assert quality(counts[2:], by_image=True)["pq"].tolist() == [0] * 10
    assert quality(counts)["sq"][0] == pytest.approx((2 + 3 / 4) / 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_type_and_memory_layout_counts_the_same(dtype: type) -> None:
    truth, predicted = discs(0).astype(dtype), discs(3).astype(dtype)
    wide = np.zeros((200, 360), dtype)
    wide[::2, ::3] = truth
    counts = count(wide[::2, ::3], np.asfortranarray(predicted))
    assert counts.tp.tolist() == count(discs(0), discs(3)).tp.tolist()
    assert count(truth > 0, predicted > 0).true == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.zeros((2, 2)), np.zeros((2, 2), int)), "truth"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), np.float32)), "predicted"),
        ((np.zeros((2, 2), int), np.zeros((2, 3), int)), "predicted"),
        ((np.full((2, 2), -1), np.zeros((2, 2), int)), "truth"),
        ((np.zeros((2, 2), int), np.full((2, 2), 2**31)), "predicted"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), [0.0]), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), [0.5, np.nan]), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), []), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), [1.5]), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), 0.5), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), None), "thresholds"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), ["half"]), "thresholds"),
        ((np.full((2, 2), 2**63, np.uint64), np.zeros((2, 2), int)), "truth"),
        ((None, np.zeros((2, 2), int)), "truth"),
    ],
)
def test_bad_input_is_named(arguments: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named}: "):
        count(*arguments)


def test_scores_need_images_counted_alike() -> None:
    with pytest.raises(ValueError, match="counts: there are no images"):
        pooled([])
    one = np.ones((2, 2), int)
    for others in ([0.5], [0.5, 0.75, 0.9], [1 - t / 2 for t in IOU_THRESHOLDS]):
        with pytest.raises(ValueError, match=r"counts: .* different thresholds"):
            per_image([count(one, one), count(one, one, others)])


def test_touching_means_sides_or_corners_of_two_instances() -> None:
    apart = np.array([[1, 0, 2], [1, 0, 2]])
    assert not touching(apart)
    assert not touching(np.array([[1, 1], [1, 1]]))
    assert touching(np.array([[1, 2]]))
    assert touching(np.array([[1], [2]]))
    assert touching(np.array([[1, 0], [0, 2]]))
    assert touching(np.array([[0, 1], [2, 0]]))
    assert not touching(np.zeros((0, 4), bool))
    for bad in (np.zeros(4, int), np.zeros((2, 2, 2), int), np.eye(3), None):
        with pytest.raises(ValueError, match=r"^labels: "):
            touching(bad)


@pytest.mark.parametrize("by_image", [False, True])
def test_a_real_networks_predictions_score_as_stardist_says(
    by_image: bool, real_data: Path, shared_fixtures: Path
) -> None:
    matching_dataset = pytest.importorskip("stardist.matching").matching_dataset
    files = sorted((shared_fixtures / "dsb2018_test_predictions").glob("*.png"))
    assert len(files) == 50
    predicted = [read_array(path) for path in files]
    truth = [read_array(real_data / "fluo_nuclei_dsb2018" / "test" / "labels" / path.name) for path in files]
    counts = [count(t, p) for t, p in zip(truth, predicted, strict=True)]
    expected = matching_dataset(truth, predicted, thresh=IOU_THRESHOLDS, by_image=by_image, show_progress=False)
    scores = per_image(counts) if by_image else pooled(counts)
    for ours, theirs in STARDIST_NAMES.items():
        np.testing.assert_allclose(scores[ours], [getattr(e, theirs) for e in expected], atol=1e-9, rtol=0)
