"""What segmenters start from: the plan, its keys, and what is refused before anything runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.notes import notes_on_data
from synthbench.cli import main
from synthbench.datasets.importing import prepare_import
from synthbench.datasets.library import Library
from synthbench.errors import ConfigError, DataError, PluginError
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.model import Study, make_study
from synthbench.study.plan import Plan, TrainingRun, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "level"
    path.write_text("90.0")
    return path


@pytest.fixture
def study(trial_study: dict) -> dict:
    return trial_study | {"segmenters": ["warm"], "seeds": 2}


def plan_of(tmp_path: Path, study: dict, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | changes, "test"), Store(tmp_path / "store")))


def runs_of(plan: Plan, segmenter: str) -> list[TrainingRun]:
    return [run for run in plan.training_runs if run.segmenter == segmenter]


def test_each_start_has_all_arms_and_a_baseline_of_its_own(tmp_path: Path, study: dict, weights: Path) -> None:
    plan = plan_of(tmp_path, study, init=["scratch", str(weights), "dataset:rings"])
    names = ["warm", "warm from level", "warm from rings"]
    assert list(dict.fromkeys(run.segmenter for run in plan.training_runs)) == names
    for name in names:
        assert {(run.arm, run.seed) for run in runs_of(plan, name)} == {
            (arm, seed) for arm in ("real", "real + brighter × 4") for seed in range(2)
        }
    assert [runs_of(plan, name)[0].init for name in names] == ["scratch", "level", "rings"]
    assert len({run.fit for run in plan.training_runs}) == 12


def test_a_training_on_another_dataset_is_one_task_per_seed_that_all_arms_need(tmp_path: Path, study: dict) -> None:
    plan = plan_of(tmp_path, study, init="dataset:rings")
    for seed in range(2):
        fits = [plan.tasks[run.fit] for run in plan.training_runs if run.seed == seed]
        (before,) = {fit.content["init"]["segmenter"] for fit in fits}
        assert all(before in fit.needs for fit in fits)
        first = plan.tasks[before].content
        assert first["seed"] == seed
        assert first["init"] is None
        assert first["plugin"] == fits[0].content["plugin"], "the same budget"
    own = {"dataset": "rings", "budget": {"name": "smoke", "steps": 7}}
    longer = plan_of(tmp_path, study, init=[own])
    first = longer.tasks[longer.tasks[longer.training_runs[0].fit].content["init"]["segmenter"]]
    assert first.content["plugin"]["budget"]["steps"] == 7


def test_test_images_of_the_other_dataset_stay_out(tmp_path: Path, study: dict) -> None:
    plan = plan_of(tmp_path, study, init="dataset:rings")
    init = plan.resolved.segmenters[0].init
    seen = {*init.pretraining.train.ids, *init.pretraining.validation.ids}
    assert len(seen) == 8
    assert not seen & {f"ring-disc-{i}" for i in range(2, 12, 3)}


def test_what_is_in_a_file_is_part_of_the_key_and_its_place_is_not(tmp_path: Path, study: dict, weights: Path) -> None:
    def fits() -> set[str]:
        return {run.fit for run in plan_of(tmp_path, study, init=str(weights)).training_runs}

    before = fits()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "level").write_text("90.0")
    assert {run.fit for run in plan_of(tmp_path, study, init=str(elsewhere / "level")).training_runs} == before
    weights.write_text("91.0")
    assert not fits() & before


@pytest.mark.parametrize(
    ("trained_on", "seen"),
    [
        (None, "not declared"),
        ([], "no"),
        (["livecell"], "no"),
        (["DISCS-2018", "livecell"], "discs2018"),
        (["discs"], "discs"),
    ],
)
def test_weights_that_have_seen_the_test_images_dataset_are_known(
    tmp_path: Path, study: dict, weights: Path, trained_on: list[str] | None, seen: str
) -> None:
    plan = plan_of(tmp_path, study, init=[{"file": str(weights), "trained_on": trained_on}])
    assert {run.weights_seen for run in plan.training_runs} == {seen}
    notes = notes_on_data(plan.resolved)
    assert len(notes) == (seen != "no")
    assert all("warm from level" in note for note in notes)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A dataset given by path, of which nobody says where its images come from."""
    folder = tmp_path / "own"
    discs = (
        resolve(
            make_study(
                {
                    "name": "x",
                    "datasets": ["discs"],
                    "generators": ["brighter"],
                    "segmenters": ["warm"],
                    "budget": "smoke",
                },
                "test",
            ),
            Store(tmp_path / "store"),
        )
        .conditions[0]
        .folder
    )
    prepare_import(discs).write(folder)
    index = json.loads((folder / "samples.json").read_text())
    index["info"] = {}
    (folder / "samples.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    ("derived_from", "trained_on", "seen"),
    [
        (None, ["livecell"], "origin not declared"),
        (None, [], "no"),
        (None, None, "not declared"),
        (["LIVECell"], ["livecell"], "livecell"),
        (["dsb2018"], ["livecell"], "no"),
        ([], ["livecell"], "no"),
        ([], None, "not declared"),
        (None, ["Own", "livecell"], "own"),
    ],
)
def test_whether_weights_saw_a_dataset_given_by_path_is_unknown_until_its_origin_is_declared(
    tmp_path: Path, study: dict, weights: Path, own: Path, derived_from: Any, trained_on: Any, seen: str
) -> None:
    init = [{"file": str(weights), "trained_on": trained_on}]
    plan = plan_of(tmp_path, study, datasets=[{"name": str(own), "derived_from": derived_from}], init=init)
    assert {run.weights_seen for run in plan.training_runs} == {seen}
    notes = notes_on_data(plan.resolved)
    assert len(notes) == (seen != "no")
    if seen == "origin not declared":
        assert "own" in notes[0]
        assert "derived_from" in notes[0]
    elsewhere = plan_of(tmp_path, study, datasets=[{"name": str(own), "derived_from": ["other"]}], init=init)
    assert {run.fit for run in elsewhere.training_runs} == {run.fit for run in plan.training_runs}


def test_a_start_on_images_of_ones_own_needs_no_declaration(tmp_path: Path, study: dict, own: Path) -> None:
    """They are compared with the test images, copies of which are refused."""
    plan = plan_of(tmp_path, study, datasets=[{"name": "discs"}], init=f"dataset:{own}")
    assert {run.weights_seen for run in plan.training_runs} == {"no"}
    assert not any("derived_from" in note for note in notes_on_data(plan.resolved))


@pytest.mark.parametrize(("origin", "seen"), [("livecell", "livecell"), ("bbbc039,dsb2018", "no"), ("none", "no")])
def test_an_imported_dataset_keeps_its_declared_origin(
    tmp_path: Path, study: dict, weights: Path, own: Path, monkeypatch: pytest.MonkeyPatch, origin: str, seen: str
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    assert main(["dataset", "add", str(own), "--name", "kept", "--derived-from", origin]) == 0
    plan = plan_of(tmp_path, study, datasets=["kept"], init=[{"file": str(weights), "trained_on": ["livecell"]}])
    assert {run.weights_seen for run in plan.training_runs} == {seen}


@pytest.mark.parametrize("value", ["dsb2018", [3], ["?"]])
def test_an_origin_that_is_no_list_of_names_is_refused_in_one_line(study: dict, value: Any) -> None:
    with pytest.raises(ConfigError, match="derived_from") as raised:
        make_study(study | {"datasets": [{"name": "x", "derived_from": value}]}, "test")
    assert "\n" not in str(raised.value)
    assert str(value[0] if isinstance(value, list) else value) in str(raised.value)


def test_a_dataset_that_a_plugin_built_under_another_name_has_its_origin(
    tmp_path: Path, study: dict, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    Library().build("discs", {}, name="kept")
    plan = plan_of(tmp_path, study, datasets=["kept"], init=[{"file": str(weights), "trained_on": ["discs2018"]}])
    assert {run.weights_seen for run in plan.training_runs} == {"discs2018"}


def test_what_stands_beside_a_file_declares_its_training_data(tmp_path: Path, study: dict, weights: Path) -> None:
    (tmp_path / "level.yaml").write_text("trained_on: [discs]\n")
    assert {run.weights_seen for run in plan_of(tmp_path, study, init=str(weights)).training_runs} == {"discs"}


def test_without_steps_weights_are_used_as_published_in_one_arm_once(
    tmp_path: Path, study: dict, weights: Path
) -> None:
    untrained = {"name": "warm", "init": str(weights), "budget": {"name": "smoke", "steps": 0}}
    plan = plan_of(tmp_path, study, segmenters=["warm", untrained])
    (run,) = runs_of(plan, "warm from level (as published)")
    assert run.arm == "real"
    assert plan.tasks[run.fit].content["plugin"]["budget"]["steps"] == 0


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"segmenters": ["threshold"], "init": "dataset:rings"},
            ConfigError,
            "from a training on",
        ),
        ({"segmenters": ["threshold"], "init": "LEVEL"}, ConfigError, "'threshold' can't start from a file"),
        ({"init": "nowhere"}, ConfigError, "nowhere: no such file"),
        ({"init": "/dev/null"}, ConfigError, "/dev/null: is neither a file nor a folder"),
        ({"init": "dataset:"}, ConfigError, "give the name of a dataset, or a path"),
        ({"init": "BROKEN"}, PluginError, "broken: holds no level"),
        ({"init": "dataset:discs"}, ConfigError, "the study tests on this dataset"),
        (
            {"init": [{"dataset": {"name": "rings", "config": {"hole": False}, "split": {"scheme": "holdout"}}}]},
            ConfigError,
            "copies of test images",
        ),
        ({"init": "dataset:nothing"}, DataError, "nothing"),
        (
            {"segmenters": [{"name": "warm", "budget": {"steps": 0}}]},
            ConfigError,
            "0 steps are for",
        ),
        (
            {"segmenters": ["warm", {"name": "threshold", "label": "warm from rings"}], "init": ["scratch"]},
            None,
            "",
        ),
        (
            {
                "segmenters": [
                    {"name": "warm", "init": "dataset:rings"},
                    {"name": "threshold", "label": "warm from rings"},
                ]
            },
            ConfigError,
            "'warm from rings' occurs twice",
        ),
    ],
)
def test_a_start_that_makes_no_sense_is_refused_in_one_line(
    tmp_path: Path, study: dict, weights: Path, changes: dict[str, Any], error: type[Exception] | None, words: str
) -> None:
    (tmp_path / "broken").write_text("?")
    places = {"LEVEL": str(weights), "BROKEN": str(tmp_path / "broken")}
    changes = {key: places.get(value, value) if isinstance(value, str) else value for key, value in changes.items()}
    if error is None:
        plan_of(tmp_path, study, **changes)
        return
    with pytest.raises(error) as raised:
        plan_of(tmp_path, study, **changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_training_images_of_the_study_among_those_of_a_start_are_noted(tmp_path: Path, study: dict) -> None:
    train = plan_of(tmp_path, study).resolved.conditions[0].train
    train.save(tmp_path / "same")
    rng = np.random.default_rng(1)
    other = [replace(each, image=rng.integers(0, 255, each.image.shape).astype(np.uint8)) for each in train]
    SampleSet.of(other).save(tmp_path / "other")

    def notes(name: str, **changes: object) -> list[str]:
        plan = plan_of(tmp_path, study, init=f"dataset:{tmp_path / name}", **changes)
        return [note for note in notes_on_data(plan.resolved) if "copies of" in note]

    assert not notes("other")
    (note,) = notes("same")
    assert note.startswith("warm from same: ")
    assert "training images of discs" in note
    every = int(note.split()[3])
    assert f"{every} of the {every} images" in note
    (few,) = notes("same", fractions=[3])
    assert int(few.split()[3]) < every


def test_a_study_with_starts_is_read_back_as_it_was_written(study: dict) -> None:
    content = study | {
        "init": ["scratch", {"file": "a/b", "trained_on": ["c"], "label": "B"}, "dataset:rings"],
        "segmenters": ["warm", {"name": "warm", "label": "other", "init": ["scratch", "d"]}],
    }
    written = make_study(content, "test")
    assert Study.model_validate(yaml.safe_load(written.to_yaml())) == written


def test_boards_keep_scratch_and_pretrained_apart_and_mark_what_was_seen(trial: Any, weights: Path) -> None:
    study = trial.study(
        segmenters=["warm", {"name": "warm", "label": "finished", "init": str(weights), "budget": {"steps": 0}}],
        init=["scratch", {"file": str(weights), "trained_on": ["discs"]}, "dataset:rings"],
    )
    done = trial.call("run", study, "--engine", "serial")
    headings = ["discs · 7 real images", "discs · 7 real images · pretrained segmenters"]
    text = " ".join(done.stdout.split())
    assert all(heading in text for heading in headings)
    assert "trained on discs, which these test images belong to" in text
    assert "nobody says" in text
    runs = pd.read_csv(trial.folder / "runs" / "trial" / "results" / "runs.csv", keep_default_na=False)
    assert runs.groupby("segmenter")["weights_seen"].first().to_dict() == {
        "warm": "",
        "warm from level": "discs",
        "warm from rings": "no",
        "finished from level (as published)": "not declared",
    }
    board = trial.call("leaderboard", "runs/trial", "--format", "csv").stdout
    assert "pretraining_seconds" in board
    again = trial.call("run", study, "--engine", "serial")
    assert "warm from rings" in again.stdout


@pytest.mark.parametrize("init", ["scratch", "dataset:rings", "both"])
def test_a_segmenter_that_needs_weights_is_refused_without_a_file_of_them(
    tmp_path: Path, study: dict, weights: Path, monkeypatch: pytest.MonkeyPatch, init: str
) -> None:
    monkeypatch.setattr(registry().load("segmenter", "warm"), "requires_init", "it has no other training")
    with pytest.raises(ConfigError, match=r"'warm' can't start from scratch: it has no other training.*init: PATH"):
        plan_of(tmp_path, study, init=[str(weights), "scratch"] if init == "both" else init)
    assert plan_of(tmp_path, study, init=str(weights)).training_runs
