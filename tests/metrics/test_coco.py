"""COCO AP: against pycocotools used the long way, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

from synthbench.metrics.coco import coco_ap


def scene(seed: int, size: int = 64, count: int = 12) -> np.ndarray:
    """Grown random points: a label map of touching blobs."""
    rng = np.random.default_rng((9, seed))
    seeds = np.zeros((size, size), int)
    seeds[tuple(rng.integers(0, size, (2, count)))] = range(1, count + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    labels = np.where(distance < 7, seeds[tuple(nearest)], 0)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def disturbed(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels moved by up to two pixels, some of them lost, with scores."""
    rng = np.random.default_rng((10, seed))
    moved = np.roll(labels, rng.integers(-2, 3, 2), axis=(0, 1))
    moved[np.isin(moved, rng.integers(1, labels.max() + 1, 3))] = 0
    moved = np.unique(moved, return_inverse=True)[1].reshape(labels.shape)
    return moved, rng.uniform(size=moved.max())


def the_long_way(truths: list, labels: list, scores: list, most: int) -> list[float]:
    """Every mask encoded by pycocotools, its own thresholds, images and labels in their order."""
    truth = COCO()
    truth.dataset = {"images": [], "categories": [{"id": 1}], "annotations": []}
    results = []
    for index, (true, found, rank) in enumerate(zip(truths, labels, scores, strict=True), start=1):
        truth.dataset["images"].append({"id": index, "height": true.shape[0], "width": true.shape[1]})
        for one in masks(true):
            code = mask.encode(np.asfortranarray(one, dtype=np.uint8))
            row = {"id": len(truth.dataset["annotations"]) + 1, "image_id": index, "category_id": 1, "iscrowd": 0}
            truth.dataset["annotations"].append({**row, "segmentation": code, "area": int(one.sum())})
        for label, one in zip(np.unique(found[found > 0]), masks(found), strict=True):
            code = mask.encode(np.asfortranarray(one, dtype=np.uint8))
            score = float(rank[int(label) - 1])
            results.append({"image_id": index, "category_id": 1, "segmentation": code, "score": score})
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "segm")
    evaluation.params.maxDets = [1, 2, most]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 2]
    return [float(precision.mean()), float(precision[0].mean()), float(precision[5].mean())]


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == i for i in np.unique(labels) if i]


def by_hand(truths: list, labels: list, scores: list, threshold: float) -> float:
    """Walk down the ranking: precision is the best from here on, read at the recalls 0, 0.01 … 1."""
    ranking = []
    for index, (true, found, rank) in enumerate(zip(truths, labels, scores, strict=True)):
        free = masks(true)
        names = np.unique(found[found > 0])
        for score, label in sorted(((rank[int(n) - 1], int(n)) for n in names), key=lambda row: (-row[0], row[1])):
            one = found == label
            ious = [(one & t).sum() / (one | t).sum() for t in free]
            hit = bool(ious) and max(ious) >= threshold
            if hit:
                free.pop(int(np.argmax(ious)))
            ranking.append((-score, index, label, hit))
    right, most = np.cumsum([row[-1] for row in sorted(ranking)]), sum(len(masks(t)) for t in truths)
    curve = [(hits / most, max(right[k:] / np.arange(k + 1, len(right) + 1))) for k, hits in enumerate(right)]
    return float(np.mean([max((p for r, p in curve if r >= level), default=0.0) for level in np.linspace(0, 1, 101)]))


NAMES = np.array([0, 1, 2, 3, 5, 8, 40])


@st.composite
def ranked(draw: st.DrawFn) -> tuple[list, list, list]:
    """One to three images whose labels have gaps and whose scores have ties, in arrays of different layout."""
    truths, labels, scores = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
        places = hnp.arrays(np.int64, shape, elements=st.integers(0, len(NAMES) - 1))
        true = NAMES[draw(places)]
        found = np.where(draw(hnp.arrays(bool, shape)), true, NAMES[draw(places)])
        truths.append(np.asfortranarray(true).astype(draw(st.sampled_from([np.uint8, np.int32, np.uint64]))))
        labels.append(np.repeat(found, 2, axis=1)[:, ::2])
        scores.append(draw(hnp.arrays(np.float64, 40, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))))
    return truths, labels, scores


@settings(max_examples=60)
@given(ranked(), st.sampled_from([3, 4, 1000]))
def test_ap_with_gaps_and_ties_is_pycocotools_own(images: tuple[list, list, list], most: int) -> None:
    if not any(t.any() for t in images[0]) or not any(f.any() for f in images[1]):
        assert coco_ap(*images).ap == 0
        return
    result = coco_ap(*images, max_detections=most)
    assert [result.ap, result.ap50, result.ap75] == pytest.approx(the_long_way(*images, most), abs=1e-12)


@settings(max_examples=80)
@given(ranked())
def test_ap_is_the_curve_walked_by_hand(images: tuple[list, list, list]) -> None:
    if any(t.any() for t in images[0]):
        assert coco_ap(*images).ap75 == pytest.approx(by_hand(*images, 0.75), abs=1e-9)


def test_of_equal_scores_earlier_images_come_first_then_lower_labels() -> None:
    truth, nothing = np.array([[1, 0, 0]]), np.array([[0, 0, 0]])
    rank = np.full(9, 0.5)
    right, wrong = (truth, truth), (nothing, np.array([[0, 0, 7]]))
    for first, then, ap in ((right, wrong, 1), (wrong, right, 0.5)):
        truths, labels = zip(first, then, strict=True)
        assert coco_ap(truths, labels, [rank, rank]).ap == pytest.approx(ap)
    assert coco_ap([truth], [np.array([[2, 0, 9]])], [rank]).ap == pytest.approx(1)
    assert coco_ap([truth], [np.array([[9, 0, 2]])], [rank]).ap == pytest.approx(0.5)


def test_halves_of_an_instance_are_right_once_and_by_their_ranks_as_pycocotools_has_it() -> None:
    """At IoU 0.5 two true instances make up a predicted one, two predicted ones a true one."""
    truths = [np.array([[1, 1, 2, 2, 0, 3, 3, 3, 3]]), np.array([[4, 4, 4, 4, 0, 1, 1, 2, 2]])]
    labels = [np.array([[1, 1, 1, 1, 0, 3, 3, 2, 2]]), np.array([[1, 1, 2, 2, 9, 7, 7, 7, 7]])]
    for seed in range(20):
        scores = [np.random.default_rng((12, seed)).integers(0, 4, 9) / 4 for _ in labels]
        result = coco_ap(truths, labels, scores)
        assert [result.ap, result.ap50, result.ap75] == pytest.approx(
            the_long_way(truths, labels, scores, 9), abs=1e-12
        )
        assert result.ap50 == pytest.approx(by_hand(truths, labels, scores, 0.5), abs=1e-9)


def test_labels_up_to_the_highest_need_no_list_of_as_many_scores() -> None:
    labels = np.array([[2**31 - 1, 0, 65_536]])
    result = coco_ap([labels], [labels], [None])
    assert (result.ap, result.unscored) == (pytest.approx(1), True)


def test_an_image_without_pixels_has_nothing_to_find() -> None:
    assert coco_ap([np.zeros((0, 4), int)], [np.zeros((0, 4), int)], [None]).ap == 0


@pytest.mark.parametrize("most", [3, 1000])
def test_ap_is_pycocotools_own(most: int) -> None:
    truths = [scene(i) for i in range(4)]
    labels, scores = (list(part) for part in zip(*(disturbed(t, i) for i, t in enumerate(truths)), strict=True))
    result = coco_ap(truths, labels, scores, max_detections=most)
    assert [result.ap, result.ap50, result.ap75] == pytest.approx(the_long_way(truths, labels, scores, most))
    assert 0 < result.ap < result.ap50
    assert not result.unscored


def test_by_default_no_detection_is_cut_off() -> None:
    crowd = np.kron(np.arange(1, 401).reshape(20, 20), np.ones((3, 3), int))
    rank = np.linspace(0, 1, 400)
    assert coco_ap([crowd], [crowd], [rank]).ap == pytest.approx(1)
    assert coco_ap([crowd], [crowd], [rank], max_detections=100).ap == pytest.approx(0.25, abs=0.01)


def test_scores_order_the_curve() -> None:
    truth = np.array([[1, 0, 0, 0, 0]])
    labels = np.array([[1, 0, 2, 0, 0]])
    right_first = coco_ap([truth], [labels], [np.array([0.9, 0.1])])
    wrong_first = coco_ap([truth], [labels], [np.array([0.1, 0.9])])
    assert right_first.ap == pytest.approx(1)
    assert wrong_first.ap == pytest.approx(0.5)


def test_scores_that_rank_nothing_are_flagged() -> None:
    truth = scene(1)
    n = truth.max()
    assert coco_ap([truth], [truth], [None]).unscored
    assert coco_ap([truth], [truth], [np.full(n, 0.7)]).unscored
    assert not coco_ap([truth], [truth], [np.linspace(0, 1, n)]).unscored
    one = (truth == 1).astype(int)
    assert not coco_ap([one], [one], [np.array([0.7])]).unscored


def test_nothing_true_and_nothing_found_are_zero_not_nan() -> None:
    truth, empty = scene(2), np.zeros((64, 64), int)
    assert coco_ap([empty], [empty], [np.zeros(0)]).ap == 0
    assert coco_ap([truth], [empty], [np.zeros(0)]).ap == 0
    assert coco_ap([empty], [truth], [np.ones(truth.max())]).ap50 == 0


def test_it_keeps_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    coco_ap([scene(0)], [scene(0)], [None])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"truths": [], "labels": [], "scores": []}, "truths"),
        ({"scores": []}, "labels"),
        ({"labels": [np.zeros((3, 3), int)]}, "labels"),
        ({"scores": [np.zeros(1)]}, "scores"),
        ({"scores": [np.array([0.5, np.nan])]}, "scores"),
        ({"scores": [["good", "bad"]]}, "scores"),
        ({"truths": [np.zeros((1, 2))]}, "truths"),
        ({"truths": [np.array([[-1, 2]])]}, "truths"),
        ({"truths": [np.zeros(2, int)], "labels": [np.zeros(2, int)]}, "truths"),
        ({"labels": [np.array([[1, 2**31]])]}, "labels"),
        ({"max_detections": 0}, "max_detections"),
        ({"max_detections": 2.5}, "max_detections"),
    ],
)
def test_bad_input_is_named(change: dict, named: str) -> None:
    labels = np.array([[1, 2]])
    arguments = {"truths": [labels], "labels": [labels], "scores": [np.array([0.5, 0.6])], **change}
    with pytest.raises(ValueError, match=rf"^{named}: "):
        coco_ap(**arguments)
