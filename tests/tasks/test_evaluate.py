"""What a segmenter may answer, and how answers become scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synthbench.errors import DataError
from synthbench.plugin.api import Instances
from synthbench.samples import Sample
from synthbench.tasks.evaluate import checked, score_instances, score_semantic

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


def test_classes_are_counted_as_a_confusion() -> None:
    said = np.array([[1, 1, 1], [0, 2, 2], [0, 0, 0]])
    scores = score_semantic([SAMPLE], [Instances(said)], 3)
    assert scores["images"][0]["confusion"] == [[4, 1, 0], [0, 2, 0], [0, 0, 2]]
    assert scores["images"][0]["cldice"] is None
    json.dumps(scores, allow_nan=False)
