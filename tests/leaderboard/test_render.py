"""Markdown, CSV, JSON and the terminal say the same as the table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from synthbench.leaderboard import as_json, baseline_delta, by_group, csv, markdown, table, terminal
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._narrative import design, headline
from synthbench.leaderboard._render import fidelity_tables, generators

GOLDEN = Path(__file__).parent / "golden.md"
DRAWS = 400
_MADE: dict[int, pd.DataFrame] = {}


def made(results: SimpleNamespace) -> pd.DataFrame:
    """Return the table of results that live as long as the tests do, made once."""
    if id(results) not in _MADE:
        _MADE[id(results)] = table(results, draws=DRAWS)
    return _MADE[id(results)].copy()


def exact(frames: SimpleNamespace) -> SimpleNamespace:
    """Return results whose intervals have no width, so that no random number stands in the golden file.

    Every image counts alike: real finds 60 of 100, `half` 10 more, `worse` 10 less; one training of `half` failed.
    """
    effects = {"real": 60, "real + half × 5": 70, "real + worse × 5": 50}
    images = frames.images(dict.fromkeys(effects, 0.0), segmenters=("unet",), seeds=3, count=4)
    images["tp"] = images["arm"].map(effects) - (100 * (images["iou"] - 0.5)).round().astype(int)
    images["fp"] = images["fn"] = 100 - images["tp"]
    images = images.assign(true=100, predicted=100, dice=0.75)
    found = frames.results(table=images)
    return frames.lose(found, (found.runs["generator"] == "half") & (found.runs["seed"] == 1), "fit-segmenter: Killed")


def test_markdown_is_as_it_was(frames: SimpleNamespace) -> None:
    assert markdown(table(exact(frames), draws=DRAWS)) == GOLDEN.read_text(encoding="utf-8")


def test_markdown_columns_are_aligned(gaps: SimpleNamespace) -> None:
    for text in (markdown(made(gaps)), markdown(by_group(gaps, "difficulty", draws=DRAWS))):
        blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
        assert blocks
        for block in blocks:
            bars = [[i for i, sign in enumerate(line) if sign == "|"] for line in block]
            assert all(line == bars[0] for line in bars)


def _columns(text: str) -> list[int]:
    return [line.count("|") for line in text.splitlines() if line.startswith("|")]


def test_markdown_keeps_strangers_names_harmless(
    whole: SimpleNamespace, renamed: Callable[[SimpleNamespace, str, str], SimpleNamespace]
) -> None:
    hostile = renamed(whole, "phantom-nuclei", "a|b <script>alert(1)</script>\n# x [c](http://e.vil) `d` *e*")
    text = markdown(table(hostile, draws=DRAWS))
    assert "<script" not in text
    assert "](http" not in text
    assert "\n# x" not in text
    assert _columns(text) == _columns(markdown(made(whole)))  # no name has added one


def test_csv_round_trips(gaps: SimpleNamespace) -> None:
    found = made(gaps)
    text = csv(found)
    assert not any(cell == "" for line in text.splitlines() for cell in line.split(","))
    numbers = found.select_dtypes("number").columns
    read = pd.read_csv(io.StringIO(text), na_values={c: ["missing", "n/a"] for c in numbers}, keep_default_na=False)
    for name in numbers:
        np.testing.assert_array_equal(read[name].to_numpy(float), found[name].to_numpy(float), err_msg=name)
    assert read["arm"].tolist() == found["arm"].tolist()
    raw = pd.read_csv(io.StringIO(text), keep_default_na=False)
    lost = raw[raw["status"] == "missing"].iloc[0]
    assert {lost["f1@0.50"], lost["delta"], lost["rank"]} == {"missing"}
    assert raw.loc[raw["arm"] == "real", "KD(untrained)"].eq("n/a").all()


def test_json_round_trips(gaps: SimpleNamespace) -> None:
    found = made(gaps)
    read = json.loads(as_json(found))
    assert set(read["columns"]) == set(found.columns)
    assert all(read["columns"].values())
    for row, expected in zip(read["rows"], found.to_dict("records"), strict=True):
        for name, value in expected.items():
            assert row[name] == (None if isinstance(value, float) and np.isnan(value) else value), name


@pytest.mark.parametrize("width", [104, 120])
def test_terminal_shows_all_and_cuts_nothing(gaps: SimpleNamespace, width: int) -> None:
    out = io.StringIO()
    Console(width=width, file=out).print(terminal(gaps))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    lost = next(line for line in text.splitlines() if "pix2pix × 50" in line and "missing" in line)
    assert "0/3" in lost
    assert "2/3" in text
    assert "loss is NaN" in text
    assert "4 of 24 trainings are missing" in text


@pytest.mark.parametrize("width", [60, 72, 80, 88])
def test_a_narrow_terminal_leaves_columns_out_and_says_which(gaps: SimpleNamespace, width: int) -> None:
    out = io.StringIO()
    Console(width=width, file=out).print(terminal(gaps))
    lines = out.getvalue().splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("segmenter")) :]
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(table)
    assert {"segmenter", "arm", "F1@.50", "Δ"} <= set(table[0].split())
    assert any("pix2pix" in line for line in table)
    left_out = next(line for line in table if line.startswith(f"not shown on {width} columns: ")).split(": ")[1]
    assert not set(left_out.split(", ")) & set(table[0].split())


def test_terminal_of_a_semantic_study(semantic: SimpleNamespace) -> None:
    out = io.StringIO()
    Console(width=110, file=out).print(terminal(semantic))
    assert "mIoU*" in out.getvalue()
    assert "copy-paste × 9" in out.getvalue()


def test_terminal_shows_names_as_they_are(
    whole: SimpleNamespace, renamed: Callable[[SimpleNamespace, str, str], SimpleNamespace]
) -> None:
    out = io.StringIO()
    Console(width=120, file=out).print(terminal(renamed(whole, "pix2pix", "[red]p[/red]")))
    assert "[red]p[/red] × 50" in out.getvalue()


def test_the_terminal_shows_brackets_in_names_of_segmenters_and_datasets(whole: SimpleNamespace) -> None:
    tables = {}
    for name in ("images", "runs", "fidelity", "label_consistency"):
        tables[name] = getattr(whole, name).replace({"stardist": "[bold]s", "phantom-nuclei": "[red]d"})
    out = io.StringIO()
    Console(width=120, file=out).print(terminal(SimpleNamespace(**{**vars(whole), **tables})))
    assert "[bold]s" in out.getvalue()
    assert "[red]d" in out.getvalue()


# -- words ----------------------------------------------------------------------------------------------------------


def words(frames: SimpleNamespace, effects: dict[str, float], **choices: object) -> tuple[str, str]:
    options = {
        "segmenters": ("unet",),
        "ious": (0.5, 0.75, 0.9),
        "seed_spread": 0.001,
        "effect_spread": 0.005,
    } | choices
    found = table(frames.results(effects=effects, **options), draws=DRAWS)
    return headline(found), "\n".join(caveats(found))


def test_headline_says_when_nothing_helped(frames: SimpleNamespace) -> None:
    sentence, _ = words(frames, {"real": 0.0, "real + g × 5": -0.1, "real + shuffled × 5": -0.2})
    assert sentence == "On phantom-nuclei, no generator measurably improved unet, and g hurt it."


def test_headline_says_what_helped(frames: SimpleNamespace) -> None:
    sentence, _ = words(frames, {"real": 0.0, "real + g × 5": 0.12, "real + h × 5": 0.07, "real + h × 9": -0.1})
    assert sentence == "On phantom-nuclei, g and h × 5 improved unet, and h × 9 hurt it."


def test_headline_of_several_segmenters(frames: SimpleNamespace, gaps: SimpleNamespace) -> None:
    found = made(gaps)
    expected = "On phantom-nuclei, pix2pix improved stardist; no generator measurably improved unet (pix2pix missing)."
    assert headline(found) == expected


def test_headline_says_once_what_holds_for_several_amounts(frames: SimpleNamespace) -> None:
    options = {"segmenters": ("unet",), "ious": (0.5, 0.75, 0.9), "seed_spread": 0.001, "effect_spread": 0.005}
    parts = [
        frames.images({"real": 0.0, "real + duplicate × 5": -0.1}, fraction=amount, **options) for amount in (6, 24)
    ]
    found = table(frames.results(table=pd.concat(parts, ignore_index=True)), draws=DRAWS)
    assert headline(found) == (
        "On phantom-nuclei with 6 and 24 real images, no control measurably improved unet, and duplicate hurt it."
    )


def test_headline_of_many_comparisons_counts(frames: SimpleNamespace) -> None:
    parts = [
        frames.images(
            {"real": 0.0, "real + g × 9": e}, seeds=3, count=40, fraction=f, ious=(0.5, 0.75, 0.9), seed_spread=0.001
        )
        for f, e in ((10, 0.12), (40, -0.2))
    ]
    found = table(frames.results(table=pd.concat(parts, ignore_index=True)), draws=DRAWS)
    assert "helped in 2 of 4 comparisons, hurt in 2, and made no significant difference in 0" in headline(found)
    small = ["within ±.02" if verdict.startswith("better") else verdict for verdict in found["verdict"]]
    said = headline(found.assign(verdict=small))
    assert "helped in 0 of 4 comparisons, hurt in 2, and made no significant difference in 2" in said


def test_one_seed_decides_nothing_however_large_the_difference(frames: SimpleNamespace) -> None:
    sentence, caution = words(frames, {"real": 0.0, "real + g × 5": 0.1, "real + h × 5": -0.4}, seeds=1)
    assert sentence == "On phantom-nuclei, one seed of unet can't decide anything."
    assert "With one seed nothing can be decided" in caution
    assert "assume a standard deviation of 0.012 between trainings" in caution


def test_cautions_name_controls_that_misbehave(frames: SimpleNamespace) -> None:
    assert words(frames, {"real": 0.0, "real + g × 5": 0.1})[1] == ""
    _, caution = words(frames, {"real": 0.0, "real + shuffled × 5": 0.0})
    assert "wrong masks (shuffled × 5) should have hurt" in caution
    hurt = {"real": 0.0, "real + shuffled × 5": -0.2}
    found = table(frames.results(effects=hurt, segmenters=("unet",)), draws=DRAWS)
    found["verdict"] = "undecided"
    (caution,) = [line for line in caveats(found) if "wrong masks" in line]
    assert "(shuffled × 5) hurt, Δ −0.2" in caution
    assert "'undecided'" in caution
    _, caution = words(frames, {"real": 0.0, "real + duplicate × 5": 0.1, "real + g × 5": 0.1})
    assert "g × 5 can't be distinguished" in caution
    _, caution = words(
        frames, {"real": 0.0, "real + duplicate × 5": 0.0, "real + g × 5": 0.1, "real + shuffled × 5": -0.2}
    )
    assert caution == ""


def test_an_arm_that_is_judged_by_its_own_trainings_is_named(frames: SimpleNamespace) -> None:
    found = table(frames.results(effects={"real": 0.0, "real + g × 5": 0.0}), draws=DRAWS)
    found["delta_own_variance"] = found["arm"] == "real + g × 5"
    told = [line for line in caveats(found) if "only their own variance" in line]
    assert len(told) == found["segmenter"].nunique()
    assert "trainings of g × 5 vary more" in told[0]


def test_groups_that_the_split_does_not_know_of_are_told_with_the_way_out(frames: SimpleNamespace) -> None:
    made = frames.images(seeds=2, count=30, ious=(0.5, 0.75, 0.9))
    made["group:well"] = "w" + (made["image"].str[-3:].astype(int) // 6).astype(str)
    found = "\n".join(caveats(table(frames.results(table=made), draws=DRAWS)))
    assert "share groups (well: 5)" in found
    assert "“split: {group: well}”" in found
    joined = made.assign(unit=made["group:well"])
    known = table(frames.results(table=joined), draws=DRAWS)
    found = "\n".join(caveats(known))
    assert "well" not in found
    assert "With 5 groups of test images" in found
    assert set(known["delta_units"].dropna()) == {5}
    assert "other images from 5 groups" in design(known, [joined])


def test_headline_when_there_is_nothing_to_compare(whole: SimpleNamespace, frames: SimpleNamespace) -> None:
    found = table(frames.lose(whole, whole.runs["arm"] == "real"), draws=DRAWS)
    assert headline(found).startswith("Nothing could be compared")


def test_a_study_of_real_images_alone_is_headed_by_its_scores(whole: SimpleNamespace) -> None:
    alone = SimpleNamespace(**vars(whole))
    alone.runs = whole.runs[whole.runs["arm"] == "real"]
    alone.images = whole.images[whole.images["arm"] == "real"]
    found = table(alone, draws=DRAWS)
    line = headline(found)
    assert line.startswith("Without synthetic images")
    assert f"{found['f1@0.50'].max():.3f}" in line
    assert "synthetic" not in design(found, [])
    alone.runs, alone.images = alone.runs.assign(status="failed"), alone.images[:0]
    assert headline(table(alone, draws=DRAWS)).startswith("No training")


def test_objects_lost_in_learning_and_drawing_are_shown_where_there_are_any(frames: SimpleNamespace) -> None:
    found = exact(frames)
    assert not {"lost", "removed", "unplaced", "empty"} & set(fidelity_tables(table(found, draws=DRAWS))["masks"])
    counted = found.fidelity.assign(**{"count:removed": range(len(found.fidelity)), "count:lost": 0, "count:other": 9})
    found.fidelity = pd.concat([counted, counted.assign(generator_seed=1)], ignore_index=True)
    every = table(found, draws=DRAWS)
    shown = generators(every)
    assert [name for name in fidelity_tables(shown)["masks"] if not name.startswith("mask_")] == ["removed"]
    assert shown["removed"].tolist() == [2 * i for i in range(len(shown))], "the sum over synthetic sets"
    assert "- removed: Pieces of drawn masks" in markdown(every)


def test_captions_say_that_objects_at_the_border_are_left_out(small: SimpleNamespace) -> None:
    said, usual = "objects at the border left out", SimpleNamespace(**vars(small))
    study = SimpleNamespace(**vars(small))
    study.study = SimpleNamespace(**{**vars(small.study), "border_objects": "exclude"})
    makers = (table, partial(by_group, group="difficulty"), partial(baseline_delta, by=["difficulty"]))
    for make in makers:
        excluded, included = make(study, draws=100), make(usual, draws=100)
        headings = [line for line in markdown(excluded).splitlines() if line.startswith("### ")]
        assert headings
        assert all(said in line for line in headings)
        assert set(excluded["border_objects"]) == {"exclude"}
        assert "border" not in markdown(included) + csv(included)
    out = io.StringIO()
    Console(width=120, file=out).print(terminal(study))
    assert said in out.getvalue()
    assert "left out of all scores" in out.getvalue()
