"""A collapse is refused, and only a collapse."""

from __future__ import annotations

import pytest

from synthbench.toolkit import loop
from synthbench.toolkit.collapse import Diverged, refuse_flat


@pytest.mark.parametrize(
    ("spreads", "word"),
    [
        ([(0.0, 0.5), (1e-4, 0.4)], "flat"),
        ([(0.3, 0.5), (float("nan"), 0.4)], "finite"),
        ([(float("inf"), 0.5)], "finite"),
    ],
)
def test_flat_and_endless_values_are_refused(spreads: list[tuple[float, float]], word: str) -> None:
    with pytest.raises(Diverged, match=word):
        refuse_flat(iter(spreads))


@pytest.mark.parametrize("spreads", [[(0.0, 0.5), (0.2, 0.4)], [(0.0, 0.0)], []])
def test_one_blank_image_among_others_and_blank_training_images_are_none(spreads: list[tuple[float, float]]) -> None:
    refuse_flat(spreads)


def test_it_is_the_failure_that_the_loop_knows() -> None:
    assert loop.Diverged is Diverged
