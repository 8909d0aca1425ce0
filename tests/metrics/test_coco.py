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

from synthbench.metrics.coco import coco_ap, encode


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
    truth = COCO()
    truth.dataset = {"images": [], "categories": [{"id": 1}], "annotations": []}
    results = []
    for index, (true, found, rank) in enumerate(zip(truths, labels, scores, strict=True), start=1):
        truth.dataset["images"].append({"id": index, "height": true.shape[0], "width": true.shape[1]})
        for label in range(1, true.max() + 1):
            code = mask.encode(np.asfortranarray(true == label, dtype=np.uint8))
            row = {"id": len(truth.dataset["annotations"]) + 1, "image_id": index, "category_id": 1, "iscrowd": 0}
            truth.dataset["annotations"].append({**row, "segmentation": code, "area": int((true == label).sum())})
        for label in range(1, found.max() + 1):
            code = mask.encode(np.asfortranarray(found == label, dtype=np.uint8))
            results.append({"image_id": index, "category_id": 1, "segmentation": code, "score": float(rank[label - 1])})
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "segm")
    evaluation.params.maxDets = [1, 2, most]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 2]
    return [float(precision.mean()), float(precision[0].mean()), float(precision[5].mean())]


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


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 900])))
def test_run_lengths_decode_to_the_masks(labels: np.ndarray) -> None:
    coded = encode(labels)
    assert [label for label, _, _ in coded] == sorted(set(labels.ravel().tolist()) - {0})
    for label, area, code in coded:
        assert area == (labels == label).sum()
        np.testing.assert_array_equal(mask.decode(code), labels == label)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"truths": [], "labels": [], "scores": []}, "truths"),
        ({"scores": []}, "labels"),
        ({"labels": [np.zeros((3, 3), int)]}, "labels"),
        ({"scores": [np.zeros(1)]}, "scores"),
        ({"scores": [np.array([0.5, np.nan])]}, "scores"),
        ({"max_detections": 0}, "max_detections"),
    ],
)
def test_bad_input_is_named(change: dict, named: str) -> None:
    labels = np.array([[1, 2]])
    arguments = {"truths": [labels], "labels": [labels], "scores": [np.array([0.5, 0.6])], **change}
    with pytest.raises(ValueError, match=rf"^{named}: "):
        coco_ap(**arguments)
