"""A gain is set beside what copies of real images bring, and beside what more real images would."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from synthbench.leaderboard import as_json, by_group, csv, table
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._formatting import text
from synthbench.leaderboard._render import markdown, shown
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
    assert row(found, PIX2PIX)["delta_vs_duplicate"] == pytest.approx(expected.value)
    assert row(found, PIX2PIX)["delta_vs_duplicate_low"] == pytest.approx(expected.low, abs=0.005)
    for arm in ("real", DUPLICATE, "real + pix2pix × 90"):
        assert np.isnan(row(found, arm)["delta_vs_duplicate"]), arm
    assert "Δ vs duplicate" in markdown(found)
    assert text(row(found, "real"), "delta_vs_duplicate") == "baseline"
    assert text(row(found, DUPLICATE), "delta_vs_duplicate") == "n/a"


def test_the_interval_of_that_comparison_ends_where_differences_do(frames: SimpleNamespace) -> None:
    images = frames.images({"real": 0.0, DUPLICATE: 0.0, PIX2PIX: 0.0})
    nothing = ((images["arm"] == PIX2PIX) & (images["seed"] % 2 == 1)) | (
        (images["arm"] == DUPLICATE) & (images["seed"] % 2 == 0)
    )
    images.loc[nothing, ["fp", "fn"]] += images.loc[nothing, ["tp", "tp"]].to_numpy()
    images.loc[nothing, "tp"] = 0
    found = table(frames.results(images), draws=500)
    uncut = paired_difference(images[images.segmenter == "unet"], PIX2PIX, DUPLICATE)
    assert uncut.high > 1
    assert row(found, PIX2PIX)["delta_vs_duplicate_high"] == 1


def test_without_copies_or_other_amounts_there_are_no_such_columns(frames: SimpleNamespace) -> None:
    found = table(frames.results(frames.images({"real": 0.0, PIX2PIX: 0.03})), draws=200)
    assert not {"delta_vs_duplicate", "equivalent_real_images"} & set(shown(found))


def test_worth_is_read_off_the_other_amounts(frames: SimpleNamespace) -> None:
    amounts = {45: 0.0, 90: 0.03, 180: 0.06}
    images = pd.concat(
        [
            frames.images({"real": level, PIX2PIX: level + 0.03}, fraction=n, seed_spread=0.001, effect_spread=0.004)
            for n, level in amounts.items()
        ]
    )
    found = table(frames.results(images), draws=500)
    assert "equivalent_real_images" in shown(found)
    at_45, at_180 = row(found, PIX2PIX), row(found, PIX2PIX, 180)
    assert at_45["equivalent_real_images"] == pytest.approx(45, abs=20)
    assert (at_45["equivalent_real_images_least"], at_45["equivalent_real_images_most"]) == (0, 135)
    assert text(at_45, "equivalent_real_images").startswith("+")
    assert text(at_180, "equivalent_real_images") == "n/a", "no larger amount tells what a gain is worth"
    assert text(row(found, "real"), "equivalent_real_images") == "n/a"


def test_at_the_largest_amount_a_loss_is_told_in_images_where_something_can_be_said() -> None:
    at_180 = dict.fromkeys(("equivalent_real_images_least", "equivalent_real_images_most"), 0) | {"verdict": "worse"}
    at_180["equivalent_real_images_least"] = -135
    for value, low, high, shown_text in (
        (-60.0, -90.0, -20.0, "−60 [−90, −20]"),
        (-60.0, -135.0, -20.0, "−60 [< −135, −20]"),
        (-60.0, -90.0, 0.0, "−60 [−90, > 0]"),
        (-60.0, -135.0, 0.0, "n/a"),
        (0.0, -20.0, 0.0, "n/a"),
        (-60.0, np.nan, np.nan, "−60"),
    ):
        names = ("equivalent_real_images", "equivalent_real_images_low", "equivalent_real_images_high")
        values = dict(zip(names, (value, low, high), strict=True))
        assert text(at_180 | values, "equivalent_real_images") == shown_text
        unchanged = at_180 | values | {"verdict": "nothing changed: were the synthetic images used?"}
        assert text(unchanged, "equivalent_real_images") == "n/a"
        assert text(unchanged | {"headroom": 0.1, "delta": 0.0, "recovered": 0.0}, "recovered") == "n/a"


def test_of_one_test_image_no_interval_and_no_rank_is_claimed(frames: SimpleNamespace) -> None:
    """Neither in tables nor in numbers: nothing is shown as not a number, and nothing as certain."""
    images = pd.concat(
        [
            frames.images({"real": level, DUPLICATE: level, PIX2PIX: level + 0.05}, fraction=n, count=1, rng_seed=n)
            for n, level in {45: 0.0, 90: 0.05}.items()
        ]
    )
    found = table(frames.results(images), draws=100)
    one = row(found, PIX2PIX)
    assert text(one, "delta").endswith("[one image: no interval]")
    assert text(one, "rank").endswith("(1–3)")
    assert "[" not in text(one, "equivalent_real_images")
    assert (one["p"], one["verdict"]) == (pytest.approx(np.nan, nan_ok=True), "undecided")
    shown_everywhere = "".join((markdown(found), csv(found), as_json(found)))
    assert "nan" not in shown_everywhere.lower()


def test_where_the_baseline_failed_the_rest_is_shown_with_a_gap(frames: SimpleNamespace) -> None:
    amounts = pd.concat([frames.images({"real": 0.0, PIX2PIX: 0.03}, fraction=n) for n in (45, 90)])
    whole = frames.results(amounts)
    lost = (whole.runs["arm"] == "real") & (whole.runs["fraction"] == 45)
    gone = (whole.images["arm"] == "real") & (whole.images["fraction"] == 45)
    whole.runs.loc[lost, "status"] = "failed"
    whole.images = whole.images[~gone]
    found = table(whole, draws=100)
    assert row(found, PIX2PIX)["verdict"] == "no baseline"
    assert row(found, "real")["status"] == "missing"
    assert np.isfinite(row(found, PIX2PIX, 90)["delta"])
    strata = by_group(whole, "difficulty", draws=100)
    assert set(strata.loc[(strata["fraction"] == 45) & (strata["arm"] == PIX2PIX), "verdict"]) == {"no baseline"}
    assert "no baseline" in markdown(found)


def test_few_test_images_are_a_caution(frames: SimpleNamespace) -> None:
    for count, said in ((19, True), (20, False)):
        found = table(frames.results(frames.images(count=count)), draws=100)
        assert any(line.startswith("With 19 test images") for line in caveats(found)) == said
