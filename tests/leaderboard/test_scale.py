"""A board says by how much images were scaled, where they were."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from helpers.frames import results
from synthbench.leaderboard import markdown, table
from synthbench.leaderboard._columns import definition


def scaled(**columns: object) -> SimpleNamespace:
    """Results of a run whose trainings have these columns."""
    found = results(seeds=2)
    return SimpleNamespace(**{**vars(found), "runs": found.runs.assign(**columns)})


def test_the_factor_and_the_diameters_are_said_once_per_dataset() -> None:
    found = scaled(scale=1 / 3, object_diameter=90.0)
    board = table(found, draws=50)
    assert board["scale"].unique() == pytest.approx([1 / 3])
    text = markdown(board)
    assert text.count("were scaled by 0.333") == 1
    assert "30 px in place of 90 px" in text
    assert definition("scale")
    assert definition("object_diameter")


@pytest.mark.parametrize("columns", [{}, {"scale": 1.0}, {"scale": 1.0, "object_diameter": 50.0}])
def test_of_images_that_stay_as_they_are_nothing_is_said(columns: dict[str, float]) -> None:
    found = scaled(**columns)
    board = table(found, draws=50)
    assert board["scale"].tolist() == [1.0] * 8
    assert "were scaled" not in markdown(board)
