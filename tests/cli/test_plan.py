"""What `synthbench plan` says of the precision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from synthbench.cli import main
from synthbench.runner import machine

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def planned(tmp_path: Path, trial_study: dict, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**trial_study, "generators": ["brighter", "duplicate"]}))

    def plan(*options: str) -> tuple[int, str, str]:
        code = main(["plan", str(file), "--store", str(tmp_path / "store"), "--device", "cpu", *options])
        return code, *capsys.readouterr()

    return plan


def test_plugins_are_listed_by_the_types_that_they_compute_in(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bfloat16_problem", lambda: "")
    code, shown, _ = planned("--precision", "bf16")
    assert code == 0
    assert "in float32, bfloat16 in part: brighter, threshold\n" in shown
    assert "in float32: duplicate\n" in shown
    assert "in float32" not in planned()[1]
    tasks = json.loads(planned("--precision", "bf16", "--json")[1])["tasks"]
    assert {task["compute"]["precision"] for task in tasks if task["kind"] == "evaluate"} == {
        "float32, bfloat16 in part"
    }


def test_bfloat16_on_a_processor_without_it_is_one_line(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bfloat16_problem", lambda: "this processor has none")
    code, shown, told = planned("--precision", "bf16")
    assert (code, shown) == (2, "")
    assert told.count("\n") == 1
    assert "--precision bf16: this processor has none" in told


def test_the_scale_of_the_images_is_told_in_words_and_in_json(planned) -> None:
    code, shown, _ = planned("--scale", "20")
    assert code == 0
    assert "discs: objects of training images have a median diameter of " in shown
    (scale,) = json.loads(planned("--scale", "20", "--json")[1])["scales"]
    assert scale["dataset"] == "discs"
    assert scale["factor"] * scale["median_diameter"] == pytest.approx(20, abs=0.01)
    plain = planned()[1]
    assert "images are scaled" not in plain
    assert "! discs: " in plain
    assert "--scale auto" in plain


def test_a_scale_that_is_none_is_one_line_that_says_what_to_write(planned) -> None:
    code, shown, told = planned("--scale", "huge")
    assert (code, shown) == (2, "")
    assert told.count("\n") == 1
    assert "scale: invalid value 'huge'; expected none, auto" in told
