"""Amounts have the names that the study gives them, and a number where that isn't certain."""

from __future__ import annotations

from typing import Any

import pytest

from synthbench.results import real_amount_names, synthetic_amount_names
from synthbench.study.model import Study, make_study


def study(**keys: Any) -> Study:
    return make_study({"datasets": ["cells"], "segmenters": ["unet"], **keys}, "study")


@pytest.mark.parametrize(
    ("fractions", "counts", "names"),
    [
        ([0.125, 1.0], [6, 45, 6], {6: "12.5 %", 45: "100 %"}),
        ([1.0, 0.25], [40, 10], {40: "100 %", 10: "25 %"}),
        ([10, 1.0], [10, 45], {10: "10 images", 45: "100 %"}),
        ([1, 1.0], [1, 45], {1: "1 image", 45: "100 %"}),
        ([0.25, 1.0], [40, 10], {40: "40 images", 10: "10 images"}),
        ([10, 1.0], [45, 10], {45: "45 images", 10: "10 images"}),
        ([0.25, 1.0], [10], {10: "10 images"}),
    ],
)
def test_real_amounts(fractions: list[float], counts: list[int], names: dict[int, str]) -> None:
    assert real_amount_names(study(fractions=fractions), counts) == names


def test_synthetic_amounts() -> None:
    asked = study(synthetic=[90, "2x", "0.5x"])
    assert synthetic_amount_names(asked, 90, 45) == ["90", "2x"]
    assert synthetic_amount_names(asked, 23, 45) == ["0.5x"]
    assert synthetic_amount_names(asked, 17, 45) == ["17"]
