"""What to do next: told from what was measured, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import frames
from synthbench.cli import main
from synthbench.leaderboard import table
from synthbench.leaderboard.advice import PRACTICAL, Advice, advice, lines
from synthbench.results import Results, save_results
from synthbench.study.model import BudgetConfig, make_study

STUDY = make_study({"name": "t", "datasets": ["nuclei"], "segmenters": ["unet"]}, "test")


def row(fraction: int = 10, arm: str = "real", **values: object) -> dict[str, object]:
    """Return a row of a leaderboard; without more, that of real images alone, with headroom .06 [.04, .08] to 45."""
    baseline = arm == "real"
    return {
        "dataset": "nuclei",
        "tested_on": "nuclei",
        "task": "instances",
        "fraction": fraction,
        "folds": 1,
        "segmenter": "unet",
        "arm": arm,
        "generator": "" if baseline else arm.split()[2],
        "synthetic": 0 if baseline else 20,
        "metric": "f1@0.50",
        "f1@0.50": 0.8,
        "verdict": "baseline" if baseline else "undecided",
        "delta": np.nan if baseline else 0.01,
        "delta_low": np.nan if baseline else -0.03,
        "delta_high": np.nan if baseline else 0.05,
        "headroom": 0.06 if fraction < 45 else np.nan,
        "headroom_low": 0.04 if fraction < 45 else np.nan,
        "headroom_high": 0.08 if fraction < 45 else np.nan,
        "headroom_images": 45,
        "headroom_seeds": 3,
        "recovered": np.nan,
        "recovered_low": np.nan,
        "recovered_high": np.nan,
        "generator_seconds": np.nan if baseline else 3000.0,
        "draw_seconds": np.nan if baseline else 600.0,
        **values,
    }


def asked(
    *rows: dict[str, object], scores: dict[int, float] | None = None, minutes: float | None = None
) -> list[Advice]:
    budget = BudgetConfig(steps=500, score_by_steps={"nuclei": scores}) if scores else None
    segmenter = STUDY.segmenters[0].model_copy(update={"budget": budget})
    results = SimpleNamespace(study=STUDY.model_copy(update={"segmenters": [segmenter]}))
    return advice(results, minutes, board=pd.DataFrame(list(rows)))  # type: ignore[arg-type]


def helps(found: Advice) -> dict[str, bool | None]:
    return {option.kind: option.helps for option in found.options}


def test_more_real_images_and_what_they_cost() -> None:
    small, large = asked(row(), row(45), minutes=12)
    assert (small.fraction, large.fraction) == (10, 45)
    (annotate, *_) = small.options
    assert (annotate.helps, annotate.gain, annotate.low, annotate.high) == (True, 0.06, 0.04, 0.08)
    assert (annotate.images, annotate.hours_of_annotating) == (35, 7)
    assert "annotate 35 more images (+0.060)" in small.answer
    assert helps(large) == {"annotate": None, "add synthetic": None, "train longer": None}
    assert "isn't known" in large.answer


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.01, 0.09, True), (-0.02, 0.015, False), (-0.02, PRACTICAL + 0.01, None)]
)
def test_headroom_is_known_only_where_its_interval_says_so(low: float, high: float, expected: bool | None) -> None:
    (found, _) = asked(row(headroom=0.01, headroom_low=low, headroom_high=high), row(45))
    assert helps(found)["annotate"] is expected


def test_the_smallest_amount_that_brings_as_much_is_advised() -> None:
    flat = row(20, headroom=0.002, headroom_low=-0.01, headroom_high=0.01)
    (found, *_) = asked(row(), flat, row(30, headroom_low=-0.01, headroom_high=0.01), row(45), minutes=12)
    assert (found.options[0].images, found.options[0].enough, found.options[0].hours_of_annotating) == (35, 10, 2)
    assert "annotate 10 more images (as good as 35 more: +0.060)" in found.answer


def test_an_amount_whose_gain_from_more_is_only_uncertain_is_not_advised() -> None:
    unclear = row(20, headroom=0.03, headroom_low=-0.05, headroom_high=0.11)
    (found, *_) = asked(row(), unclear, row(45))
    assert found.options[0].enough is None
    assert "annotate 35 more images" in found.answer


def test_one_seed_decides_nothing() -> None:
    assert helps(asked(row(headroom_seeds=1), row(45))[0])["annotate"] is None


def test_the_best_generator_that_helps_is_named_with_its_cost() -> None:
    better = {"verdict": "better", "delta_low": 0.01, "recovered": 0.5, "recovered_low": 0.2, "recovered_high": 0.9}
    rows = (
        row(45),
        row(),
        row(arm="real + pix2pix × 20", delta=0.03, **better),
        row(arm="real + spade × 20", delta=0.02, **better),
        row(arm="real + duplicate × 20", delta=0.09, **better),
        row(arm="real + diffusion × 20", delta=0.08),
    )
    found = asked(*rows)[0]
    synthetic = found.options[1]
    assert (synthetic.helps, synthetic.gain, synthetic.images, synthetic.machine_hours) == (True, 0.03, 20, 1)
    assert "pix2pix × 20" in synthetic.text
    assert "50 %" in synthetic.text
    assert found.answer.index("annotate") < found.answer.index("pix2pix × 20"), "the larger gain first"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("undecided", None), ("worse", False), ("within ±.02", False), ("nothing changed: x", False)],
)
def test_no_gain_is_told_apart_from_no_knowledge(verdict: str, expected: bool | None) -> None:
    found = asked(row(), row(arm="real + spade × 20", verdict=verdict), row(45))[0]
    assert helps(found)["add synthetic"] is expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [(None, None), ({500: 0.6}, None), ({500: 0.6, 1000: 0.605}, False), ({500: 0.6, 1000: 0.64}, True)],
)
def test_whether_to_train_longer_follows_from_scores_by_steps(
    scores: dict[int, float] | None, expected: bool | None
) -> None:
    found = asked(row(), row(45), scores=scores)[0]
    assert helps(found)["train longer"] is expected
    assert found.answer.partition(": ")[2].startswith("train longer first") == (expected is True)


def test_the_command_prints_lines_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = frames.results(segmenters=("unet",), count=10, seeds=2)
    study = make_study({"name": "trial", "datasets": ["phantom-nuclei"], "segmenters": ["unet"]}, "trial")
    (tmp_path / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    results = Results(study, made.images, made.runs, made.fidelity, made.label_consistency, made.tasks)
    save_results(results, tmp_path)
    assert main(["advise", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == list(lines(advice(results, board=table(results))))
    assert main(["advise", str(tmp_path), "--json", "--minutes-per-image", "5"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [option["kind"] for option in found["options"]] == ["annotate", "add synthetic", "train longer"]
    assert main(["advise", str(tmp_path), "--minutes-per-image", "-1"]) == 2
    assert "--minutes-per-image -1" in capsys.readouterr().err
