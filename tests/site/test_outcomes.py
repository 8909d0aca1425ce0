"""Pictures of predictions show what was found, missed and made up."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.site._outcomes import EXTRA, FOUND, MISSED, SCALE, SIDE, draw_panes, most_different


def squares(*corners: tuple[int, int], size: int = 12, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    for number, (top, left) in enumerate(corners, 1):
        labels[top : top + size, left : left + size] = number
    return labels


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(value) for value in each) for each in np.unique(picture.reshape(-1, 3), axis=0)}


def test_objects_are_compared_with_the_truth_where_it_is_known() -> None:
    truth = squares((5, 5), (30, 40))
    real, arm = squares((5, 5)), squares((5, 6), (30, 40), (45, 5))
    image = np.full(truth.shape, 90, np.uint8)
    panes = draw_panes(real, arm, "instances", image, truth)
    assert FOUND in colours(panes.truth)
    assert {FOUND, MISSED} <= colours(panes.real)
    assert EXTRA not in colours(panes.real)
    assert {FOUND, EXTRA} <= colours(panes.arm)
    assert MISSED not in colours(panes.arm)
    outline = (panes.arm == EXTRA).all(axis=-1)
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max()) == (45 * SCALE, 57 * SCALE - 1)
    assert (columns.min(), columns.max()) == (5 * SCALE, 17 * SCALE - 1)


def test_without_the_truth_predictions_are_compared_with_each_other() -> None:
    panes = draw_panes(squares((5, 5)), squares((5, 5), (30, 40)), "instances")
    assert panes.truth is None
    assert EXTRA not in colours(panes.real)
    assert {FOUND, EXTRA} <= colours(panes.arm)
    assert len(colours(panes.real)) == 2


def test_half_an_object_is_found_and_less_is_not() -> None:
    truth = squares((10, 10), size=20)
    for width, found in ((10, True), (9, False)):
        part = truth.copy()
        part[:, 10 + width :] = 0
        panes = draw_panes(part, truth, "instances", truth.astype(np.uint8), truth)
        assert (FOUND in colours(panes.real)) == found
        assert (EXTRA in colours(panes.real)) != found


def test_classes_are_drawn_in_colour() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[5:15] = 1
    panes = draw_panes(truth, truth, "semantic", truth * 100, truth)
    assert np.array_equal(panes.real, panes.arm)
    assert np.array_equal(panes.real, panes.truth)
    assert len(colours(panes.real)) > 1


@pytest.mark.parametrize("seed", range(4))
def test_the_part_that_is_shown_differs_as_much_as_any_other_of_the_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = squares(*(tuple(rng.integers(0, (380, 480))) for _ in range(9)), shape=(400, 500))
    second = squares(*(tuple(rng.integers(0, (380, 480))) for _ in range(9)), shape=(400, 500))
    window = most_different(first, second)
    assert first[window].shape == (SIDE, SIDE)
    differs = (first > 0) != (second > 0)
    centre = differs[120 : 120 + SIDE, 170 : 170 + SIDE]
    assert differs[window].sum() >= 0.9 * centre.sum()
    assert differs[window].any()


def test_small_images_are_shown_whole() -> None:
    labels = squares((5, 5))
    assert labels[most_different(labels, labels * 0)].shape == labels.shape
