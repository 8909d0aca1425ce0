"""How large objects are, and what is left of them at another scale."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.study._object_sizes import ScaledObjects, object_diameters, scaled_objects


def squares(*sides: int) -> np.ndarray:
    """Squares of these sides in a row, 2 pixels apart, labelled 10, 20 … in order."""
    labels = np.zeros((max(sides) + 4, sum(sides) + 2 * len(sides) + 2), np.uint16)
    left = 2
    for number, side in enumerate(sides, 1):
        labels[2 : 2 + side, left : left + side] = 10 * number
        left += side + 2
    return labels


def test_the_diameter_is_that_of_a_disc_of_the_same_area() -> None:
    assert object_diameters(squares(10, 20), "instances") == pytest.approx([11.2838, 22.5676], abs=1e-4)
    assert len(object_diameters(np.zeros((4, 4), np.uint8), "instances")) == 0
    large_labels = squares(10, 20).astype(np.uint32) * 2**20
    assert object_diameters(large_labels, "instances") == pytest.approx([11.2838, 22.5676], abs=1e-4)


def test_diameters_are_those_of_cellpose() -> None:
    utils = pytest.importorskip("cellpose.utils")
    labels = squares(6, 9, 13, 21)
    assert np.median(object_diameters(labels, "instances")) == pytest.approx(utils.diameters(labels)[0], abs=1e-4)


def test_objects_of_classes_are_their_connected_components() -> None:
    labels = np.where(squares(10, 20, 10) > 0, 1, 0)
    assert sorted(object_diameters(labels, "semantic")) == pytest.approx([11.2838, 11.2838, 22.5676], abs=1e-4)


def test_objects_that_vanish_or_become_small_are_counted() -> None:
    """At a third, pixels 1, 4, 7 … are kept: of squares that begin at 2, 5, 10 in x and at 2 in y."""
    labels = squares(1, 3, 12)
    found = scaled_objects(labels, 1 / 3)
    assert (found.objects, found.lost, found.small) == (3, 1, 1)
    assert found + ScaledObjects(1, 1, 0, 0.0) == ScaledObjects(4, 2, 1, found.iou_sum)


def test_the_iou_of_exact_predictions_is_that_of_objects_which_come_back() -> None:
    """A corner pixel at a third comes back with weights of 1/3 and 2/3 in x and y: 4/9 of the object, 5/9 of ground."""
    labels = np.zeros((30, 30), np.uint8)
    labels[9:21, 9:21] = 5
    assert scaled_objects(labels, 1 / 3).mean_iou == pytest.approx((144 - 4) / 144)
    band = np.zeros((30, 30), np.uint8)
    band[10:20] = 5  # rows 3 … 6 of ten have it, at rows 10, 13, 16 and 19, and it comes back in rows 9 … 20
    assert scaled_objects(band, 1 / 3).mean_iou == pytest.approx(10 / 12)
    assert scaled_objects(np.zeros((9, 9), np.uint8), 1 / 3).mean_iou == 1.0
