"""Study files: what they may say, and the one line that a mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.errors import ConfigError
from synthbench.study.model import DEFAULT, Study, make_study, read_study

SMALL = {"datasets": ["discs"], "segmenters": ["unet"]}


def test_the_default_study_is_valid_and_survives_a_round_trip(tmp_path: Path) -> None:
    study = make_study(read_study(DEFAULT), "default")
    path = tmp_path / "again.yaml"
    path.write_text(study.to_yaml())
    assert make_study(read_study(path), "again") == study


def test_a_bare_name_stands_for_a_plugin_with_its_defaults() -> None:
    study = make_study(SMALL | {"generators": ["a", {"name": "b", "config": {"x": 1}}]}, "here")
    assert [g.title for g in study.generators] == ["a", "b"]
    assert study.generators[1].config == {"x": 1}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"share": 0.5}, "share: was renamed; use synthetic_ratio"),
        ({"synthetic_ratio": [0.5, 1.5]}, "synthetic_ratio.1: "),
        ({"synthetic_ratio": [0.5, 0.5]}, "synthetic_ratio: 0.5 occurs twice"),
        ({"schedule": "real-first"}, "'synthetic-first' (given: 'real-first')"),
        ({"sedes": 3}, "sedes: no such key (did you mean 'seeds'?)"),
        ({"seeds": "many"}, "seeds: "),
        ({"border_objects": "ignore"}, "border_objects: invalid value 'ignore'; expected include or exclude"),
        ({"seeds": 0}, "seeds: "),
        ({"seeds": 10**14}, "seeds: Input should be less than or equal to 1000"),
        ({"generators": [{"name": "a", "config": {"x": float("nan")}}]}, "x is nan; give a finite number"),
        ({"datasets": [{"name": "a", "config": {"x": [{"y": float("inf")}]}}]}, "x.y is inf; give a finite number"),
        ({"segmenters": []}, "segmenters: "),
        ({"datasets": [{"name": "d", "split": {"sceme": "kfold"}}]}, "did you mean 'scheme'"),
        ({"generators": ["a", "a"]}, "'a' occurs twice"),
        ({"generators": ["real"]}, "always there"),
        ({"synthetic": [0]}, "synthetic: invalid value 0; expected integers ≥ 1"),
        ({"synthetic": ["2y"]}, "synthetic: invalid value '2y'"),
        (
            {"fractions": [1.5]},
            "fractions: invalid value 1.5; expected fractions above 0",
        ),
        ({"budget": {"name": "quick", "steps": -1}}, "budget.steps"),
        ({"budget": {"name": "quick", "steps": 0}}, "budget.steps"),
        ({"segmenters": [{"name": "a", "init": []}]}, "init"),
        ({"generators": [{"name": "a", "init": "scratch"}]}, "init is for segmenters"),
        ({"generators": [{"name": "a", "budget": {"steps": 0}}]}, "steps is 0"),
        ({"init": ["w/x", "v/x"]}, "'x' occurs twice"),
        ({"init": [{"file": "x", "dataset": "y"}]}, "not both"),
        ({"init": [{"dataset": "y", "trained_on": ["z"]}]}, "trained_on is for a file"),
        ({"init": [{"file": "x", "budget": "smoke"}]}, "budget is for training on a dataset first"),
        ({"init": [""]}, "init"),
        ({"seeds": True}, "seeds: "),
        ({"seeds": 1000.0}, "seeds: "),
        ({"name": "../up"}, "name: "),
        ({"iou": 0.52}, "iou: invalid value 0.52; expected 0.5, 0.55 … 0.95, or mean"),
        ({"iou": 1}, "iou: invalid value 1; expected 0.5"),
        ({"synthetic": 10}, "synthetic: expected a list, such as [10]"),
        ({"fractions": 0.5}, "fractions: expected a list, such as [0.5]"),
    ],
)
def test_a_mistake_gets_one_line_with_file_key_and_way_out(change: dict, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_study(SMALL | change, "study.yaml")
    assert str(error.value).startswith("study.yaml: ")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "line 1: invalid YAML"),
        ("- a", "a study is a mapping"),
        ("", "a study is a mapping"),
        ("a: \x00", "invalid YAML"),
    ],
)
def test_an_unreadable_study_file_is_named(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml") as error:
        read_study(path)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [("wells.yaml", "wells"), ("all wells!.yml", "all-wells"), ("_.yaml", "study"), ("my set/study.yaml", "my-set")],
)
def test_a_study_without_a_name_has_that_of_its_file_or_folder(tmp_path: Path, file: str, name: str) -> None:
    """So two of them don't share a run folder."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("datasets: [discs]\nsegmenters: [unet]\n")
    assert make_study(read_study(tmp_path / file), file).name == name
    (tmp_path / file).write_text("name: own\ndatasets: [discs]\nsegmenters: [unet]\n")
    assert make_study(read_study(tmp_path / file), file).name == "own"


def test_a_missing_study_file_is_named() -> None:
    with pytest.raises(ConfigError, match="no such study file"):
        read_study("nowhere.yaml")


def test_every_field_has_a_place_in_the_json_schema() -> None:
    assert set(Study.model_json_schema()["properties"]) == set(Study.model_fields)


def test_what_is_wrong_with_a_whole_study_is_said_after_its_source_alone() -> None:
    with pytest.raises(ConfigError, match=r"^the command line: datasets: 'a' occurs twice"):
        make_study({"name": "x", "datasets": ["a", "a"], "segmenters": ["unet"]}, "the command line")
