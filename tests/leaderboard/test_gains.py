"""A gain is set beside what copies of real images bring, and beside what more real images would."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from synthbench.leaderboard import table
from synthbench.leaderboard.render import markdown, shown
from synthbench.leaderboard.values import text
from synthbench.statistics import paired_difference

DUPLICATE, PIX2PIX = "real + duplicate × 50", "real + pix2pix × 50"


def row(found: pd.DataFrame, arm: str, fraction: int = 45) -> dict[str, object]:
    (only,) = found[(found.arm == arm) & (found.segmenter == "unet") & (found.fraction == fraction)].to_dict("records")
    return only


def test_each_arm_is_compared_with_as_many_copies(frames: SimpleNamespace) -> None:
    effects = {"real": 0.0, DUPLICATE: 0.03, PIX2PIX: 0.03, "real + pix2pix × 90": 0.04}
    images = frames.images(effects)
    found = table(frames.results(images), draws=500)
    expected = paired_difference(images[images.segmenter == "unet"], PIX2PIX, DUPLICATE)
    assert row(found, PIX2PIX)["delta_copies"] == pytest.approx(expected.value)
    assert row(found, PIX2PIX)["delta_copies_low"] == pytest.approx(expected.low, abs=0.005)
    for arm in ("real", DUPLICATE, "real + pix2pix × 90"):
        assert np.isnan(row(found, arm)["delta_copies"]), arm
    assert "Δ from copies" in markdown(found)


def test_without_copies_or_other_amounts_there_are_no_such_columns(frames: SimpleNamespace) -> None:
    found = table(frames.results(frames.images({"real": 0.0, PIX2PIX: 0.03})), draws=200)
    assert not {"delta_copies", "worth"} & set(shown(found))


def test_worth_is_read_off_the_other_amounts(frames: SimpleNamespace) -> None:
    amounts = {45: 0.0, 90: 0.03, 180: 0.06}
    images = pd.concat(
        [
            frames.images({"real": level, PIX2PIX: level + 0.03}, fraction=n, seed_spread=0.001, effect_spread=0.004)
            for n, level in amounts.items()
        ]
    )
    found = table(frames.results(images), draws=500)
    assert "worth" in shown(found)
    at_45, at_180 = row(found, PIX2PIX), row(found, PIX2PIX, 180)
    assert at_45["worth"] == pytest.approx(45, abs=20)
    assert (at_45["worth_least"], at_45["worth_most"]) == (0, 135)
    assert text(at_45, "worth").startswith("+")
    assert text(at_180, "worth").startswith("> 0 [")
    assert text(row(found, "real"), "worth") == "n/a"
