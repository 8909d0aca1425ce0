"""What a segmenter may answer, and how answers become scores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthbench.engine.tasks.evaluate import checked, fingerprint, score_instances, score_semantic
from synthbench.errors import DataError
from synthbench.folders.score import score_image, summary
from synthbench.metrics.semantic import cldice
from synthbench.plugin.api import Instances
from synthbench.results import image_rows
from synthbench.samples import Sample
from synthbench.statistics import run_scores

LABELS = np.array([[1, 1, 0], [0, 2, 2], [0, 0, 0]], np.uint8)
SAMPLE = Sample("s", np.zeros((3, 3), np.uint8), LABELS, {"split": "test", "well": "a"})


def test_a_right_answer_passes_whatever_its_integer_type() -> None:
    answer = checked(Instances(LABELS.astype(np.int64), np.array([0.5, 0.25], np.float32)), SAMPLE)
    assert answer.scores.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("labels", "scores", "error"),
    [
        (LABELS[:2], None, ValueError),
        (LABELS.astype(float), None, DataError),
        (LABELS.astype(np.int8) - 1, None, DataError),
        (LABELS, np.ones(3), ValueError),
        (LABELS, np.array([1.0, np.nan]), ValueError),
    ],
    ids=["shape", "float", "negative", "too many scores", "NaN"],
)
def test_a_wrong_answer_is_refused(labels, scores, error) -> None:
    with pytest.raises(error, match="s"):
        checked(Instances(labels, scores), SAMPLE)


def test_a_perfect_answer_scores_one_and_the_official_split_is_no_group() -> None:
    scores = score_instances([SAMPLE], [Instances(LABELS, np.array([0.9, 0.8]))])
    assert scores["coco_ap"] == pytest.approx(1.0)
    assert not scores["unscored"]
    (row,) = scores["images"]
    assert row["tp"] == [2] * 10
    assert row["groups"] == {"well": "a"}
    assert row["difficulty"] == "hard"
    json.dumps(scores, allow_nan=False)


def test_an_answer_of_nothing_scores_nothing() -> None:
    scores = score_instances([SAMPLE], [Instances(np.zeros_like(LABELS), np.zeros(0))])
    assert scores["coco_ap"] == 0
    assert scores["images"][0]["tp"] == [0] * 10


def test_panoptic_quality_and_aji_by_hand() -> None:
    """One object found whole, one half (IoU 2/4: no match above .5, but shared pixels), one found where none is."""
    true = np.array([[1, 1, 0, 2, 2, 2, 2, 0, 0, 0]])
    said = np.array([[1, 1, 0, 2, 2, 0, 0, 0, 3, 0]])
    sample = Sample("s", np.zeros((1, 10), np.uint8), true.astype(np.uint8), {})
    (row,) = score_instances([sample], [Instances(said)])["images"]
    assert (row["pq_tp"], row["pq_iou_sum"]) == (1, 1.0)
    assert (row["aji_shared"], row["aji_union"]) == (row["aji_plus_shared"], row["aji_plus_union"]) == (4, 2 + 4 + 1)
    rows = pd.DataFrame([HEAD | line for line in image_rows({"task": "instances", "iou": IOUS, "images": [row]})])
    assert run_scores(rows, "pq")["score"].item() == pytest.approx(2 * 1.0 / (3 + 2))
    assert run_scores(rows, "aji")["score"].item() == pytest.approx(4 / 7)


IOUS = [round(0.5 + 0.05 * i, 2) for i in range(10)]
HEAD = {"arm": "real", "fold": 0, "generator_seed": np.nan, "seed": 0}


@pytest.mark.parametrize("aggregation", ["pooled", "per_image"])
def test_tables_hold_what_score_prints(aggregation: str) -> None:
    """Random label maps, one of them empty on both sides: the two ways to a number agree."""
    rng = np.random.default_rng(6)
    pairs = [(rng.integers(0, 6, (9, 8)) // 2, rng.integers(0, 6, (9, 8)) // 2) for _ in range(6)]
    pairs += [
        (np.kron(t, np.ones((3, 3), int)), np.kron(t, np.ones((3, 3), int)) * (rng.random((27, 24)) < 0.9))
        for t, _ in pairs
    ]
    pairs.append((np.zeros((4, 4), int), np.zeros((4, 4), int)))
    samples = [Sample(f"s{i}", np.zeros(t.shape, np.uint8), t.astype(np.uint8)) for i, (t, _) in enumerate(pairs)]
    scores = score_instances(samples, [Instances(p) for _, p in pairs])
    rows = pd.DataFrame([HEAD | line for line in image_rows(scores)])
    expected = summary({str(i): score_image(t, p) for i, (t, p) in enumerate(pairs)})
    for metric in ("pq", "sq", "rq"):
        told = run_scores(rows, metric, aggregation=aggregation)["score"].item()
        assert told == pytest.approx(expected["panoptic"][aggregation][metric], abs=1e-12), metric
        assert 0 < told < 1
    for metric in ("aji", "aji_plus"):
        told = run_scores(rows, metric, aggregation=aggregation)["score"].item()
        assert told == pytest.approx(expected[metric][aggregation], abs=1e-12), metric


def test_a_prediction_is_known_by_its_pixels_alone() -> None:
    same = fingerprint(LABELS)
    assert same == fingerprint(LABELS.astype(np.int64)) == fingerprint(np.asfortranarray(LABELS))
    other = LABELS.copy()
    other[2, 2] = 1
    assert same not in (fingerprint(other), fingerprint(LABELS.reshape(1, 9)))
    (row,) = score_instances([SAMPLE], [Instances(LABELS)])["images"]
    assert row["prediction"] == same


def test_classes_are_counted_as_a_confusion() -> None:
    said = np.array([[1, 1, 1], [0, 2, 2], [0, 0, 0]])
    scores = score_semantic([SAMPLE], [Instances(said)], 3)
    assert scores["images"][0]["confusion"] == [[4, 1, 0], [0, 2, 0], [0, 0, 2]]
    assert scores["images"][0]["cldice"] is None
    json.dumps(scores, allow_nan=False)


IGNORE = np.array([[False] * 3, [False, True, True], [False] * 3])


def test_ignored_pixels_are_in_no_figure_of_instances() -> None:
    """Instance 2 is unknown: what is found there, with the best score, is neither right nor wrong."""
    sample = Sample("s", np.zeros((3, 3), np.uint8), LABELS, ignore=IGNORE)
    said = np.array([[1, 1, 0], [0, 2, 3], [0, 0, 0]])
    scores = score_instances([sample], [Instances(said, np.array([0.1, 0.9, 0.8]))])
    (row,) = scores["images"]
    assert (row["true"], row["predicted"], row["tp"]) == (1, 1, [1] * 10)
    assert (row["dice"], row["difficulty"]) == (1.0, "easy")
    assert scores["coco_ap"] == pytest.approx(1.0)


def test_ignored_pixels_are_in_no_figure_of_classes() -> None:
    sample = Sample("s", np.zeros((3, 3), np.uint8), LABELS > 0, ignore=IGNORE)
    said = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0]])
    (row,) = score_semantic([sample], [Instances(said)], 2)["images"]
    assert row["confusion"] == [[4, 1], [0, 2]]
    known = [np.where(IGNORE, 0, labels) for labels in (LABELS, said)]
    assert row["cldice"] == cldice(*known) != cldice(LABELS, said)
    (void,) = score_semantic([replace(sample, ignore=np.ones((3, 3), bool))], [Instances(said)], 2)["images"]
    assert (void["confusion"], void["cldice"]) == ([[0, 0], [0, 0]], 0.0)


def test_objects_at_the_image_border_are_left_out_on_request() -> None:
    """Of two touching objects the border cuts one; the best score has a wrong prediction at the border."""
    labels = np.zeros((16, 16), np.uint8)
    labels[0:5, 4:8], labels[5:9, 4:8] = 1, 2
    said = np.where(labels == 2, 2, 0)
    said[4:8, 13:16] = 1
    sample = Sample("s", labels, labels)
    scores = score_instances([sample], [Instances(said, np.array([0.9, 0.8]))], "exclude")
    (row,) = scores["images"]
    assert (row["true"], row["predicted"], row["tp"], row["difficulty"]) == (1, 1, [1] * 10, "hard")
    assert (row["aji_shared"], row["aji_union"], row["pq_tp"], row["dice"]) == (16, 16, 1, 1.0)
    assert scores["coco_ap"] == pytest.approx(1.0)
    assert row["prediction"] == fingerprint(said), "predictions are told apart by all of their pixels"
    (everything,) = score_instances([sample], [Instances(said, np.array([0.9, 0.8]))])["images"]
    assert (everything["true"], everything["predicted"], everything["tp"][0]) == (2, 2, 1)
    assert everything["difficulty"] == "hard"
