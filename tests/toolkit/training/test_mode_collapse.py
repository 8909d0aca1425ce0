"""A collapse is refused, and only a collapse."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.toolkit.training import loop
from synthbench.toolkit.training.mode_collapse import Diverged, check_flat, check_mode_collapse


@pytest.mark.parametrize(
    ("spreads", "word"),
    [
        ([(0.0, 0.5), (1e-4, 0.4)], "flat"),
        ([(0.0, 0.5), (0.0, 0.0), (0.2, 0.0)], "flat"),
        ([(0.3, 0.5), (float("nan"), 0.4)], "finite"),
        ([(float("inf"), 0.5)], "finite"),
    ],
)
def test_flat_and_endless_values_are_refused(spreads: list[tuple[float, float]], word: str) -> None:
    with pytest.raises(Diverged, match=word):
        check_flat(iter(spreads))


@pytest.mark.parametrize("spreads", [[(0.0, 0.5), (0.2, 0.4)], [(0.0, 0.0)], []])
def test_one_blank_image_among_others_and_blank_training_images_are_none(spreads: list[tuple[float, float]]) -> None:
    check_flat(spreads)


def test_it_is_the_failure_that_the_loop_knows() -> None:
    assert loop.Diverged is Diverged


def planes(rng: np.random.Generator, how: str) -> np.ndarray:
    """Eight samples of three image planes and one mask plane; one kind of plane spoilt."""
    drawn = rng.normal(0, 0.3, (8, 4, 16, 16))
    if how == "flat image":
        drawn[:, :3] = rng.normal(0, 0.3, (8, 3, 1, 1))
    if how == "one image":
        drawn[:, :3] = drawn[0, :3]
    if how == "flat mask":
        drawn[:, 3] = -1.0
    if how == "one mask":
        drawn[:, 3] = drawn[0, 3]
    if how == "endless":
        drawn[3, 2, 5, 5] = np.inf
    return drawn


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("flat image", "images .* flat"),
        ("one image", "images .* all the same"),
        ("flat mask", "masks .* flat"),
        ("one mask", "masks .* all the same"),
        ("endless", "aren't finite"),
    ],
)
def test_what_is_flat_or_the_same_each_time_is_refused(how: str, said: str) -> None:
    """An image of one colour is flat in each of its channels, whatever lies between them."""
    rng = np.random.default_rng(0)
    real = planes(rng, "")
    check_mode_collapse(planes(rng, ""), real, 3)
    with pytest.raises(Diverged, match=said):
        check_mode_collapse(planes(rng, how), real, 3)
    if how != "endless":
        check_mode_collapse(planes(rng, how), planes(rng, how), 3)


def test_images_alone_can_be_looked_at() -> None:
    real = planes(np.random.default_rng(0), "")[:, :3]
    check_mode_collapse(0.1 * real, real, 3)
    with pytest.raises(Diverged, match="flat"):
        check_mode_collapse(0.01 * real, real, 3)
