"""What a report says before any table, and beside arms that can't have meant anything."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from synthbench.leaderboard import as_json, brief_markdown, markdown, page, table, terminal
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._formatting import text
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import headline

DRAWS = 400
ARM = "real + pix2pix × 50"
OPTIONS = {"segmenters": ("unet",), "ious": (0.5, 0.75, 0.9), "seed_spread": 0.001, "effect_spread": 0.004}


def amounts(
    frames: SimpleNamespace, levels: dict[int, float], gain: float = 0.03, **choices: object
) -> SimpleNamespace:
    """A study of several amounts of real data, whose test images are the same."""
    parts = [
        frames.images({"real": level, ARM: level + gain}, fraction=n, **(OPTIONS | choices))
        for n, level in levels.items()
    ]
    return frames.results(table=pd.concat(parts, ignore_index=True))


def everywhere(found: SimpleNamespace, folder: Path) -> dict[str, str]:
    """Return what terminal, Markdown, page and JSON say before the first table."""
    out = io.StringIO()
    Console(width=118, file=out).print(terminal(found))
    made = table(found, draws=DRAWS)
    said = json.loads(as_json(made))
    assert list(said) == ["headline", "opening_notes", "caveats", "columns", "rows"]
    whole = page(found, folder)
    return {
        "terminal": re.sub(r"\s+", " ", out.getvalue().split("segmenter ")[0]),
        "md": markdown(made).split("\n|")[0],
        "html": re.sub(r"<[^>]*>", "", whole[: whole.index("<main>")]),
        "json": "\n".join(said["opening_notes"]),
    }


def test_a_report_leads_with_what_more_real_images_bring(frames: SimpleNamespace, tmp_path: Path) -> None:
    found = amounts(frames, {45: 0.0, 180: 0.06})
    row = table(found).set_index(["fraction", "arm"]).loc[(45, ARM)]
    assert row["headroom"] == pytest.approx(_score(found, 180) - _score(found, 45))
    assert row["headroom_images"] == 180
    assert row["headroom_low"] < 0.06 < row["headroom_high"]
    assert row["recovered"] == pytest.approx(row["delta"] / row["headroom"])
    assert row["recovered_low"] < 0.5 < row["recovered_high"]
    for where, said in everywhere(found, tmp_path).items():
        assert re.search(
            r"unet on phantom-nuclei with 45 real images: 180 real images instead of 45 change F1@\.50 by "
            r"\+0\.0\d\d \[\+0\.0\d\d, \+0\.\d\d\d\]; of that, pix2pix × 50 recovers \d\d % \[−?\d+ %, \d+ %\]\.",
            said,
        ), where
        assert "with 180 real images: " not in said or where in ("md", "html"), "nothing is larger than the largest"
    assert text(row.to_dict() | {"verdict": "better"}, "recovered") in everywhere(found, tmp_path)["terminal"]
    assert "| of headroom |" in re.sub(" +", " ", markdown(table(found, draws=DRAWS)))


def test_a_short_table_leads_with_the_same_and_gathers_amounts_without_arms(frames: SimpleNamespace) -> None:
    found = amounts(frames, {45: 0.0, 180: 0.06}).images.query("fraction == 45 or arm == 'real'")
    made = table(frames.results(table=found), draws=DRAWS)
    said = re.sub(" +", " ", brief_markdown(made, ["unet with 45 real images: annotate 135 more images (+0.060)."]))
    before, arms, others = re.split(r"\n### .*\n", said)
    assert "180 real images instead of 45 change F1@.50 by +0.0" in before
    assert before.endswith("annotate 135 more images (+0.060).\n")
    assert "| unet | pix2pix × 50 | 0." in arms
    assert "| of headroom |" in arms
    assert others.count("\n|") == 3
    assert "| phantom-nuclei | unet | 180 | 0." in others


def _score(found: SimpleNamespace, fraction: int) -> float:
    at = found.images.query("arm == 'real' and iou == 0.5 and fraction == @fraction")
    sums = at.groupby("seed")[["tp", "fp", "fn"]].sum()
    return float((2 * sums["tp"] / (2 * sums["tp"] + sums["fp"] + sums["fn"])).mean())


def test_a_study_of_one_amount_says_that_it_has_no_positive_control(frames: SimpleNamespace) -> None:
    one, more = (
        opening_notes(table(amounts(frames, sizes, gain=0.0), draws=DRAWS))
        for sizes in ({45: 0.0}, {45: 0.0, 180: 0.0})
    )
    assert any(line.startswith("No larger amount of real images of phantom-nuclei") for line in one)
    assert not any(line.startswith("No larger amount") for line in more)


def test_without_headroom_nothing_could_be_seen_to_help(frames: SimpleNamespace, tmp_path: Path) -> None:
    found = amounts(frames, {45: 0.0, 180: 0.0}, gain=0.0)
    for where, said in everywhere(found, tmp_path).items():
        assert "not significantly above zero" in said, where
    made = table(found, draws=DRAWS)
    assert made["recovered"].isna().all()
    row = made.set_index(["fraction", "arm"]).loc[(45, ARM)].to_dict()
    assert text(row, "recovered") == "no headroom"
    assert text(row, "equivalent_real_images") == "no headroom", (
        "along a flat curve any gain would be equivalent to all images that there are"
    )
    assert text(made.set_index(["fraction", "arm"]).loc[(180, ARM)].to_dict(), "recovered") == "n/a"


def test_headroom_that_isnt_there_explains_no_arm_that_did_better(frames: SimpleNamespace) -> None:
    (said,) = [
        line
        for line in opening_notes(table(amounts(frames, {45: 0.0, 180: 0.0}, gain=0.1), draws=DRAWS))
        if "45" in line
    ]
    assert "isn't the one that more real images give" in said
    (said,) = [
        line for line in opening_notes(table(amounts(frames, {45: 0.0, 180: -0.1}), draws=DRAWS)) if "45" in line
    ]
    assert "more real images hurt here" in said


def test_one_seed_gives_no_share(frames: SimpleNamespace) -> None:
    made = table(amounts(frames, {45: 0.0, 180: 0.06}, seeds=1), draws=DRAWS)
    assert made["recovered"].isna().all()
    assert any("one seed: without repeated training" in line for line in opening_notes(made))
    assert text(made.set_index(["fraction", "arm"]).loc[(45, ARM)].to_dict(), "recovered") == "one seed"


@pytest.mark.parametrize("lost", [45, 180])
def test_a_control_that_failed_is_missed(frames: SimpleNamespace, lost: int) -> None:
    found = amounts(frames, {45: 0.0, 180: 0.06})
    gone = (found.runs["arm"] == "real") & (found.runs["fraction"] == lost)
    found.runs.loc[gone, "status"] = "failed"
    found.images = found.images[~((found.images["arm"] == "real") & (found.images["fraction"] == lost))]
    said = [
        line for line in opening_notes(table(found, draws=DRAWS)) if "the gain from more real images is unknown" in line
    ]
    assert len(said) == 1
    assert said[0].startswith("unet on phantom-nuclei with 45 real images: ")
    assert said[0].endswith("paired with one on 180.")


def test_one_amount_leads_with_nothing(frames: SimpleNamespace) -> None:
    made = table(amounts(frames, {45: 0.0}), draws=DRAWS)
    assert made["headroom"].isna().all()
    assert not [line for line in opening_notes(made) if "instead of" in line]


def test_a_baseline_that_found_nothing_can_show_nothing(frames: SimpleNamespace, tmp_path: Path) -> None:
    found = amounts(frames, {45: -0.9}, gain=0.5)
    for where, said in everywhere(found, tmp_path).items():
        assert "F1@.50 0.0" in said, where
        assert "too low for a meaningful comparison" in said, where
    made = table(found, draws=DRAWS)
    assert made["label_consistency"].isna().all()
    assert (
        headline(made)
        == "On phantom-nuclei, trained on real images alone, unet detected almost nothing on test images."
    )
    assert not any("too low" in line for line in opening_notes(table(amounts(frames, {45: -0.7}), draws=DRAWS)))
    strict = table(amounts(frames, {45: -0.1}, ious=(0.5, 0.75, 0.9, 0.95), gain=0.0), 0.95, draws=DRAWS)
    low = strict.assign(**{"f1@0.95": 0.01})
    assert any("at this threshold (F1@.95 0.010)" in line for line in opening_notes(low))


def test_a_report_on_the_smoke_budget_says_that_it_finds_nothing(frames: SimpleNamespace, tmp_path: Path) -> None:
    found = amounts(frames, {45: 0.0})
    quick = found.study.budget
    smoke, more_steps = (SimpleNamespace(name="smoke", steps=steps, score_by_steps=None) for steps in (None, 60))
    for study_budget, own_budget, warned in (
        (smoke, None, True),
        (quick, smoke, True),
        (more_steps, None, False),
        (smoke, quick, False),
    ):
        found.study.budget, found.study.segmenters = study_budget, [SimpleNamespace(budget=own_budget)]
        assert any("smoke budget" in line for line in opening_notes(table(found, draws=DRAWS))) == warned
    found.study.budget, found.study.segmenters = smoke, [SimpleNamespace(budget=None)]
    for where, said in everywhere(found, tmp_path).items():
        assert "smoke budget" in said, where
    assert '<span class="option">--budget</span>' in page(found, tmp_path)


def test_a_semantic_baseline_without_foreground_can_show_nothing(semantic: SimpleNamespace) -> None:
    found = SimpleNamespace(**vars(semantic))
    lost = (found.images["arm"] == "real") & (found.images["class"] == 1)
    found.images = found.images.assign(
        fn=found.images["fn"] + found.images["tp"].where(lost, 0), tp=found.images["tp"].where(~lost, 0)
    )
    assert any("too low for a meaningful" in line for line in opening_notes(table(found, draws=DRAWS)))
    assert not any("too low" in line for line in opening_notes(table(semantic, draws=DRAWS)))


@pytest.mark.parametrize("hashed", [True, False])
def test_an_arm_that_changed_nothing_is_asked_whether_it_looked(
    frames: SimpleNamespace, tmp_path: Path, hashed: bool
) -> None:
    effects = {"real": 0.0, ARM: 0.03, "real + copy-paste × 50": 0.03}
    found = frames.results(effects=effects, **OPTIONS)
    real = found.images["arm"] == "real"
    own = found.images["arm"] == ARM
    counts = ["tp", "fp", "fn", "dice"]
    found.images = found.images.astype(dict.fromkeys(counts[:3], int))
    for name in counts:
        found.images.loc[own, name] = found.images.loc[real, name].to_numpy()
    if hashed:
        found.images["prediction"] = found.images["arm"] + " " + found.images["seed"].astype(str)
        assert (table(found, draws=DRAWS)["unchanged"].dropna() == 0).all(), "the same counts of other pixels"
        found.images.loc[own, "prediction"] = found.images.loc[real, "prediction"].to_numpy()
    made = table(found, draws=DRAWS).set_index("arm")
    assert made["unchanged"].to_dict() == pytest.approx(
        {"real": np.nan, ARM: 3, "real + copy-paste × 50": 0}, nan_ok=True
    )
    question = "nothing changed: were the synthetic images used?"
    assert made.loc[ARM, "verdict"] == question
    assert f"pix2pix × 50: {question} All trainings" in "\n".join(caveats(made.reset_index()))
    rows = [
        line
        for line in markdown(made.reset_index()).splitlines()
        if line.startswith(f"| unet      | {ARM.removeprefix('real + ')}")
    ]
    assert question in rows[0]
    shown = page(found, tmp_path)
    assert question in shown
    assert 'class="nothing-changed"' in shown
    out = io.StringIO()
    Console(width=118, file=out).print(terminal(found))
    assert [line for line in out.getvalue().splitlines() if "pix2pix × 50" in line and "nothing changed" in line]
    first = own & (found.images["seed"] == 0)
    found.images.loc[first & (found.images["image"] == "test-003") & (found.images["iou"] == 0.5), "dice"] += 1e-9
    some = table(found, draws=DRAWS)
    assert some.set_index("arm").loc[ARM, "unchanged"] == 2
    assert "were the synthetic images used? 2 of 3 trainings" in "\n".join(caveats(some))
    assert some.set_index("arm").loc[ARM, "verdict"] != question


def test_one_generator_seed_is_about_one_trained_generator(frames: SimpleNamespace, tmp_path: Path) -> None:
    found = frames.results(effects={"real": 0.0, ARM: 0.03, "real + copy-paste × 50": 0.03}, **OPTIONS)
    for where, said in everywhere(found, tmp_path).items():
        assert "One generator seed: the results for pix2pix" in said, where
        assert "copy-paste is" not in said, "it isn't trained"
    two = found.images[found.images["arm"] != "real"].assign(generator_seed=1.0)
    more = frames.results(table=pd.concat([found.images, two], ignore_index=True))
    assert not [line for line in opening_notes(table(more, draws=DRAWS)) if "generator seed" in line]


def test_test_images_of_unknown_origin_are_a_caveat_of_pretrained_rows(frames: SimpleNamespace) -> None:
    made = table(amounts(frames, {45: 0.0}), draws=DRAWS)
    made["weights_seen"] = "origin not declared"
    (line,) = [line for line in caveats(made) if "derived_from" in line]
    assert line.startswith("unet on phantom-nuclei")


def test_published_weights_that_find_nothing_are_not_to_be_trained_longer(frames: SimpleNamespace) -> None:
    found = amounts(frames, {45: -0.9}, segmenters=("unet", "unet from net (as published)"))
    said = [line for line in opening_notes(table(found, draws=DRAWS)) if "unet" in line]
    (trained,) = [line for line in said if "--steps" in line]
    (published,) = [line for line in said if "published weights find almost nothing" in line]
    assert "as published" in published
    assert "as published" not in trained


def test_the_score_that_tells_most_is_named(frames: SimpleNamespace) -> None:
    """At IoU .50 the two amounts are alike; at .75 and .90 they are not."""
    found = amounts(frames, {45: 0.0, 180: 0.06})
    images = found.images
    alike = images[(images["iou"] == 0.5) & (images["fraction"] == 45)]
    key = ["arm", "seed", "image"]
    copied = images[(images["iou"] == 0.5) & (images["fraction"] == 180)].drop(columns=["tp", "fp", "fn"])
    copied = copied.merge(alike[[*key, "tp", "fp", "fn"]], on=key)
    noise = np.random.default_rng(0).integers(0, 2, len(copied))
    copied["tp"] = np.maximum(copied["tp"] - noise, 0)
    for name in ("fp", "fn"):
        copied[name] = copied["true"] - copied["tp"]
    found.images = pd.concat([images[(images["iou"] != 0.5) | (images["fraction"] == 45)], copied], ignore_index=True)
    (line,) = table(found, draws=DRAWS).attrs["sensitivity"]
    assert line.startswith("unet on phantom-nuclei: the gain from 180 real images instead of 45, over the half width ")
    assert re.search(r"--iou (mean|0\.75|0\.9) would show smaller differences than F1@\.50", line)
    (other,) = table(found, "mean", draws=DRAWS).attrs["sensitivity"]
    assert "--iou" not in other or "--iou mean" not in other
    assert line in opening_notes(table(found, draws=DRAWS))


def test_without_a_gain_no_score_is_named(frames: SimpleNamespace) -> None:
    assert table(amounts(frames, {45: 0.0, 180: 0.0}), draws=DRAWS).attrs["sensitivity"] == []
    assert table(amounts(frames, {45: 0.0}), draws=DRAWS).attrs["sensitivity"] == []


def test_amounts_that_only_extend_the_learning_curve_have_no_headroom_of_their_own(frames: SimpleNamespace) -> None:
    found = amounts(frames, {20: -0.05, 45: 0.0, 180: 0.06})
    found.images = found.images[(found.images["fraction"] == 45) | (found.images["arm"] == "real")]
    found.runs = found.runs[(found.runs["fraction"] == 45) | (found.runs["arm"] == "real")]
    lines = [line for line in opening_notes(table(found, draws=DRAWS)) if "real images instead of" in line]
    assert [line for line in lines if "instead of 45 change" in line]
    assert not [line for line in lines if "instead of 20 change" in line]
    alone = SimpleNamespace(**vars(found))
    alone.images, alone.runs = (each[each["arm"] == "real"] for each in (found.images, found.runs))
    lines = opening_notes(table(alone, draws=DRAWS))
    assert [line for line in lines if "instead of 20 change" in line]
