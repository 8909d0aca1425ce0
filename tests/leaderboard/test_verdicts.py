"""The columns of a difference from the baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthbench.leaderboard._verdicts import difference_columns
from synthbench.statistics import Comparison, Difference, compare


def columns(value: float, low: float, high: float) -> dict[str, float]:
    difference = Difference(value, low, high, p=0.01, seeds=3, folds=1, images=8, units=8, pairs=3, possible=3)
    return difference_columns(Comparison("real", {"arm": difference}, {}), "real")["arm"]


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.9, 0.7, 1.1, (0.7, 1.0)),
        (-0.9, -1.1, -0.7, (-1.0, -0.7)),
        (0.1, -1.4, 1.6, (-1.0, 1.0)),
        (0.1, -0.2, 0.4, (-0.2, 0.4)),
        (1.0, 1.0, 1.0, (1.0, 1.0)),
    ],
)
def test_an_interval_ends_where_differences_of_scores_do(
    value: float, low: float, high: float, shown: tuple[float, float]
) -> None:
    """A score lies in 0 … 1, so a difference lies in −1 … 1; the tails of Student's t don't know it."""
    row = columns(value, low, high)
    assert (row["delta"], row["delta_low"], row["delta_high"]) == (value, *shown)


def test_an_unknown_interval_stays_unknown() -> None:
    row = columns(0.5, np.nan, np.nan)
    assert np.isnan([row["delta_low"], row["delta_high"]]).all()


def test_the_interval_of_few_trainings_that_differ_is_cut() -> None:
    """Two trainings on ten objects in each of four images: `real` finds 0 and 2, the arm 10 and 7 of ten.

    The differences are 1.0 and 0.5, so Δ is 0.75 and its error is far above the 0.25 that are left up to 1.
    """
    found = {("real", 0): 0, ("real", 1): 2, ("arm", 0): 10, ("arm", 1): 7}
    rows = [
        {"fold": 0, "arm": arm, "generator_seed": np.nan, "seed": seed, "image": image, "iou": 0.5}
        | {"tp": tp, "fp": 10 - tp, "fn": 10 - tp}
        for (arm, seed), tp in found.items()
        for image in "abcd"
    ]
    comparison = compare(pd.DataFrame(rows), draws=2_000)
    row = difference_columns(comparison, "real")["arm"]
    assert row["delta"] == pytest.approx(0.75)
    assert comparison.differences["arm"].high > 1
    assert row["delta_high"] == 1
    assert -1 <= row["delta_low"] < 0.75
