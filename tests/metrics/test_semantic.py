"""Scores of class maps: the worked example of mIoU*, torchmetrics, and clDice by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthbench.metrics.semantic import cldice, confusion, scores


def test_three_wrong_pixels_in_ten_thousand_spoil_miou_and_not_miou_star() -> None:
    truth = np.zeros((100, 100), int)
    truth[:, 50:] = 1
    predicted = truth.copy()
    predicted[0, :3] = 2
    result = scores(confusion(truth, predicted, 3))
    assert result["miou"] == pytest.approx(0.666, abs=5e-4)
    assert result["miou_star"] == pytest.approx(0.9997, abs=1e-12)
    assert result["iou"].tolist() == [4997 / 5000, 1.0, 0.0]
    assert result["present"].tolist() == [True, True, False]
    assert result["accuracy"] == pytest.approx(0.9997)


def test_a_class_in_neither_map_counts_in_no_mean() -> None:
    truth = np.array([[0, 1], [1, 1]])
    result = scores(confusion(truth, truth, 5))
    assert result["miou"] == result["miou_star"] == 1
    assert result["iou"].tolist() == result["dice"].tolist() == [1, 1, 0, 0, 0]


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 5), hnp.array_shapes(min_dims=2, max_dims=2, max_side=7))
def test_confusion_counts_every_pixel_where_it_belongs(data: st.DataObject, classes: int, shape: tuple) -> None:
    maps = hnp.arrays(np.uint8, shape, elements=st.integers(0, classes - 1))
    truth, predicted = data.draw(maps), data.draw(maps)
    matrix = confusion(truth, predicted, classes)
    for i in range(classes):
        for j in range(classes):
            assert matrix[i, j] == ((truth == i) & (predicted == j)).sum()
    result = scores(matrix)
    for i in range(classes):
        union = ((truth == i) | (predicted == i)).sum()
        assert result["iou"][i] == pytest.approx(matrix[i, i] / union if union else 0)
        assert result["dice"][i] == pytest.approx(2 * result["iou"][i] / (1 + result["iou"][i]))
    assert 0 <= result["miou"] <= result["miou_star"] + 1e-12


def test_cldice_of_a_line_and_its_broken_copy() -> None:
    truth = np.zeros((9, 40), np.uint8)
    truth[4, 2:38] = 1
    assert cldice(truth, truth) == 1
    broken = truth.copy()
    broken[4, 14:26] = 0
    # All of the predicted line lies in the true one; a third of the true line is missed.
    assert cldice(truth, broken) == pytest.approx(2 * (24 / 36) / (1 + 24 / 36))
    assert cldice(broken, truth) == pytest.approx(cldice(truth, broken))


def test_cldice_looks_at_centre_lines_and_not_at_thickness() -> None:
    thin, thick = np.zeros((21, 60), bool), np.zeros((21, 60), bool)
    thin[10, 5:55], thick[7:14, 3:57] = True, True
    overlap = 2 * (thin & thick).sum() / (thin.sum() + thick.sum())
    assert cldice(thin, thick) > 0.95 > 0.3 > overlap


def test_cldice_without_foreground_is_zero_not_nan() -> None:
    line, nothing = np.eye(12, dtype=int), np.zeros((12, 12), int)
    assert cldice(line, nothing) == cldice(nothing, line) == cldice(nothing, nothing) == 0
    assert cldice(line[:0], nothing[:0]) == 0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: confusion(np.array([[3]]), np.array([[0]]), 3), "truth"),
        (lambda: confusion(np.array([[0]]), np.array([[-1]]), 3), "predicted"),
        (lambda: confusion(np.array([[0]]), np.array([[0.5]]), 3), "predicted"),
        (lambda: confusion(np.zeros((2, 2), int), np.zeros((4, 1), int), 3), "predicted"),
        (lambda: confusion(np.array([[0]]), np.array([[0]]), 0), "classes"),
        (lambda: confusion(np.array([[0]]), np.array([[0]]), 1.5), "classes"),
        (lambda: scores(np.zeros((2, 3))), "matrix"),
        (lambda: scores(np.full((2, 2), np.nan)), "matrix"),
        (lambda: scores(np.array([[3, -1], [0, 2]])), "matrix"),
        (lambda: scores(np.array([["a"]])), "matrix"),
        (lambda: scores(np.zeros((2, 2))), "matrix"),
        (lambda: cldice(np.zeros((2, 2)), np.zeros((2, 3))), "predicted"),
        (lambda: cldice(np.zeros(2), np.zeros(2)), "truth"),
        (lambda: cldice(np.zeros((2, 2)), np.full((2, 2), np.nan)), "predicted"),
        (lambda: cldice(None, np.zeros((2, 2))), "truth"),
    ],
)
def test_bad_input_is_named(call, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named}: "):
        call()


@pytest.mark.parametrize("seed", range(20))
def test_ignored_pixels_are_those_of_torchmetrics(seed: int) -> None:
    torch = pytest.importorskip("torch")
    torchmetrics = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, (2, 23, 31))
    truth[rng.random(truth.shape) < 0.3] = 255
    ignore = truth == 255
    found = scores(confusion(np.where(ignore, 0, truth), predicted, 4, ignore))
    oracle = torchmetrics.MulticlassJaccardIndex(4, average=None, ignore_index=255)
    theirs = oracle(torch.from_numpy(predicted), torch.from_numpy(truth)).numpy()
    np.testing.assert_allclose(found["iou"], theirs, atol=1e-6)
    dice = torchmetrics.MulticlassF1Score(4, average=None, ignore_index=255)
    np.testing.assert_allclose(found["dice"], dice(torch.from_numpy(predicted), torch.from_numpy(truth)), atol=1e-6)


def test_ignored_pixels_belong_to_no_centre_line() -> None:
    """A line of 20 pixels found to the left, while what is right of column 10 is unknown."""
    truth = np.zeros((9, 20), bool)
    truth[4] = True
    found = truth.copy()
    found[:, 10:] = False
    ignore = np.zeros(truth.shape, bool)
    ignore[:, 10:] = True
    assert cldice(truth, found) < 0.7
    assert cldice(truth, found, ignore) == 1.0
    assert cldice(truth, ~truth, np.ones_like(ignore)) == 0.0


@pytest.mark.parametrize("ignore", [np.zeros((2, 3), bool), np.zeros((2, 2), np.uint8)])
def test_an_ignore_region_is_bool_and_of_the_same_shape(ignore: np.ndarray) -> None:
    labels = np.zeros((2, 2), np.uint8)
    for call in (lambda: confusion(labels, labels, 2, ignore), lambda: cldice(labels, labels, ignore)):
        with pytest.raises(ValueError, match="ignore: "):
            call()
