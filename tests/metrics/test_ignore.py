"""Ignored pixels: what leaves before anything is counted, by hand and against COCO's crowds."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from synthbench.folders.score import score_image
from synthbench.metrics.aggregated_jaccard import aji, aji_plus
from synthbench.metrics.coco import coco_ap
from synthbench.metrics.ignore import leave_out
from synthbench.metrics.matching import count
from synthbench.metrics.overlap import overlap

TRUTH = np.zeros((10, 20), np.uint16)
TRUTH[1:5, 1:5], TRUTH[1:5, 7:11] = 3, 300
IGNORE = np.zeros((10, 20), bool)
IGNORE[:, 12:] = True


def found(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """Draw boxes (label, top, bottom, left, right)."""
    out = np.zeros(TRUTH.shape, np.uint16)
    for label, top, bottom, left, right in boxes:
        out[top:bottom, left:right] = label
    return out


def test_without_a_region_both_maps_are_returned_as_they_are() -> None:
    assert leave_out(TRUTH, TRUTH, None) == (TRUTH, TRUTH)


@pytest.mark.parametrize(
    ("left", "right", "stays"),
    [(14, 18, False), (10, 18, False), (10, 14, True), (9, 13, True), (11, 14, False)],
    ids=["within", "three quarters", "half", "a quarter", "two thirds"],
)
def test_an_instance_with_more_than_half_in_the_region_leaves_whole(left: int, right: int, stays: bool) -> None:
    truth, predicted = leave_out(TRUTH, found((5, 6, 9, left, right)), IGNORE)
    assert np.array_equal(truth, TRUTH)
    assert np.array_equal(np.unique(predicted), [0, 5] if stays else [0])
    assert not predicted[IGNORE].any()
    assert (predicted == 5).sum() == (3 * (12 - left) if stays else 0)


def test_what_matches_a_true_instance_stays_however_much_lies_in_the_region() -> None:
    truth = found((1, 1, 5, 10, 18))
    whole = count(*leave_out(truth, found((9, 1, 5, 10, 18)), IGNORE))
    assert (whole.true, whole.predicted, whole.tp[0], whole.iou_sum[0]) == (1, 1, 1, 1.0)
    other = count(*leave_out(truth, found((9, 4, 8, 10, 18)), IGNORE))
    assert (other.true, other.predicted, other.tp[0]) == (1, 0, 0)


def test_every_figure_of_a_worked_case() -> None:
    """Two true instances of 16 pixels: one found whole, one by half; one more outside, one inside, one across."""
    predicted = found((1, 1, 5, 1, 5), (2, 1, 5, 9, 11), (4, 7, 9, 1, 5), (6, 1, 4, 14, 18), (7, 6, 9, 11, 13))
    scored = score_image(TRUTH, predicted, IGNORE)
    # 7 lies in the region by exactly a half: 3 of its pixels stay, and are wrong
    assert (scored.counts.true, scored.counts.predicted, scored.counts.tp[0]) == (2, 4, 2)
    assert scored.counts.tp[1] == 1
    assert scored.counts.dice == 2 * 24 / (32 + 16 + 8 + 8 + 3)
    assert (scored.panoptic.tp[0], scored.panoptic.iou_sum[0]) == (1, 1.0)
    assert (scored.aji.shared, scored.aji.union) == (24, 32 + 8 + 3)
    assert scored.aji_plus == scored.aji
    assert scored.ignored == 80
    without = score_image(TRUTH, predicted)
    assert (without.counts.predicted, without.ignored) == (5, 0)


def test_nothing_depends_on_the_truth_within_the_region() -> None:
    rng = np.random.default_rng(4)
    predicted = found((1, 1, 5, 1, 5), (2, 1, 5, 10, 18))
    noise = np.where(IGNORE, rng.integers(0, 9, TRUTH.shape), TRUTH)
    for first, second in zip(leave_out(TRUTH, predicted, IGNORE), leave_out(noise, predicted, IGNORE), strict=True):
        assert np.array_equal(first, second)


def test_labels_stay_so_that_scores_stay_right() -> None:
    """The one false positive has the best score, and lies in the region: without it AP is 1."""
    predicted = found((1, 6, 9, 14, 18), (2, 1, 5, 1, 5), (3, 1, 5, 7, 11))
    scores = np.array([0.9, 0.8, 0.7])
    assert coco_ap([TRUTH], [predicted], [scores]).ap < 0.7
    truth, kept = leave_out(TRUTH, predicted, IGNORE)
    assert coco_ap([truth], [kept], [scores]).ap == pytest.approx(1.0)


def test_an_image_that_is_ignored_whole_has_nothing_to_score() -> None:
    counts = count(*leave_out(TRUTH, TRUTH, np.ones(TRUTH.shape, bool)))
    assert counts.empty


@pytest.mark.parametrize("seed", range(30))
def test_at_half_iou_crowds_of_coco_are_the_oracle(seed: int) -> None:
    """True objects left, crowd right; predictions near the objects, in the crowd, and across its border."""
    rng = np.random.default_rng(seed)
    truth, predicted = np.zeros((60, 90), np.uint16), np.zeros((60, 90), np.uint16)
    crowd = np.zeros(truth.shape, bool)
    crowd[:, 60:] = True
    for label in range(1, 5):
        top = 15 * (label - 1) + 2
        truth[top : top + 10, 5:15] = label
        shift = rng.integers(0, 6)
        predicted[top : top + 10, 5 + shift : 15 + shift] = label
    for label in range(5, 13):
        top, left, width = 7 * (label - 5) + 1, rng.integers(30, 75), rng.integers(3, 15)
        predicted[top : top + 6, left : left + width] = label
    scores = rng.permutation(12) / 12
    kept = leave_out(truth, predicted, crowd)
    assert coco_ap([kept[0]], [kept[1]], [scores]).ap50 == pytest.approx(_crowd_ap50(truth, predicted, scores, crowd))
    table = overlap(*kept)
    assert aji_plus(table).union <= aji(overlap(truth, predicted)).union


def _crowd_ap50(truth: np.ndarray, predicted: np.ndarray, scores: np.ndarray, crowd: np.ndarray) -> float:
    def table(rows: list[dict]) -> COCO:
        made = COCO()
        made.dataset = {
            "images": [{"id": 1, "height": truth.shape[0], "width": truth.shape[1]}],
            "categories": [{"id": 1}],
            "annotations": [{**row, "id": i, "image_id": 1, "category_id": 1} for i, row in enumerate(rows, 1)],
        }
        made.createIndex()
        return made

    def row(mask: np.ndarray, **more: object) -> dict:
        code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"segmentation": code, "area": int(mask.sum()), "iscrowd": 0, **more}

    true = [row(truth == label) for label in np.unique(truth[truth > 0])] + [row(crowd, iscrowd=1)]
    said = [row(predicted == label, score=scores[label - 1]) for label in np.unique(predicted[predicted > 0])]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(table(true), table(said), "segm")
        # COCO's share counts from exactly a half on, the rule here from more than a half
        evaluation.params.iouThrs = np.array([0.5 + 1e-9])
        evaluation.params.maxDets = [100]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(np.maximum(evaluation.eval["precision"][0, :, 0, 0, 0], 0).mean())
