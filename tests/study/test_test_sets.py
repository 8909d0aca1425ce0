"""Tests on other datasets: what is planned, what is refused, and what tables say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthbench
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.leaderboard import by_group, table
from synthbench.results import load_results
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.notes import study_notes
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")


def plan_of(tmp_path: Path, study: dict, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | changes, "test"), Store(tmp_path / "store")))


def squares(numbers: range, side: int = 32) -> list[Sample]:
    """Return images of one bright square each, at random places; a third of them for testing."""
    samples = []
    for number in numbers:
        rng = np.random.default_rng(number)
        image = rng.integers(0, 60, (side, side)).astype("uint8")
        labels = np.zeros((side, side), np.uint8)
        top, left = rng.integers(1, side - 13, 2)
        labels[top : top + 12, left : left + 12] = 1
        image[labels > 0] += 120
        parts = ("train", "test", "validation")
        samples.append(Sample(f"square-{number}", image, labels, {"split": parts[number % 3]}))
    return samples


@pytest.fixture
def other(tmp_path: Path) -> Path:
    SampleSet.of(squares(range(9))).save(tmp_path / "squares")
    return tmp_path / "squares"


def test_trainings_are_the_same_and_each_has_a_test_more(tmp_path: Path, trial_study: dict, other: Path) -> None:
    alone, both = plan_of(tmp_path, trial_study), plan_of(tmp_path, trial_study, test_on=str(other))
    assert {run.fit for run in both.training_runs} == {run.fit for run in alone.training_runs}
    assert {run.evaluate for run in alone.training_runs} < {run.evaluate for run in both.training_runs}
    elsewhere = [run for run in both.training_runs if run.tested_on]
    assert {run.tested_on for run in elsewhere} == {"squares"}
    assert len(elsewhere) == len(alone.training_runs)
    for run in elsewhere:
        assert both.tasks[run.evaluate].where["test"]["ids"] == ["square-1", "square-4", "square-7"]
        assert both.tasks[run.evaluate].needs == (run.fit,)


def test_two_datasets_are_tested_on_each_other(tmp_path: Path, trial_study: dict, other: Path) -> None:
    names = ["discs", str(other)]
    plan = plan_of(tmp_path, trial_study, datasets=names, test_on=names)
    pairs = {(plan.resolved.conditions[run.condition].dataset, run.tested_on) for run in plan.training_runs}
    assert pairs == {("discs", ""), ("discs", "squares"), ("squares", ""), ("squares", "discs")}


@pytest.mark.parametrize(
    ("split", "named"),
    [({"scheme": "kfold"}, "5 folds"), ({"file": "no-such.json"}, "no-such")],
)
def test_one_set_of_test_images_is_needed(
    tmp_path: Path, trial_study: dict, other: Path, split: dict, named: str
) -> None:
    with pytest.raises(SynthbenchError, match=named):
        plan_of(tmp_path, trial_study, test_on=[{"name": str(other), "split": split}])


def test_a_dataset_of_its_own_is_no_other_one(tmp_path: Path, trial_study: dict, other: Path) -> None:
    with pytest.raises(ConfigError, match="'discs' is the dataset that the study trains on"):
        plan_of(tmp_path, trial_study, test_on=["discs"])
    with pytest.raises(ConfigError, match="occurs twice"):
        plan_of(tmp_path, trial_study, test_on=[str(other), str(other)])


def test_another_task_is_refused(tmp_path: Path, trial_study: dict) -> None:
    flat = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8), s.groups) for s in squares(range(9))]
    SampleSet.of(flat, task="semantic", classes=("ground", "square")).save(tmp_path / "flat")
    with pytest.raises(ConfigError, match="'flat' is semantic ground square"):
        plan_of(tmp_path, trial_study, test_on=[str(tmp_path / "flat")])


def test_copies_of_training_images_are_refused(tmp_path: Path, trial_study: dict) -> None:
    first = next(iter(plan_of(tmp_path, trial_study).resolved.conditions[0].train))
    copy = Sample("copy", first.image, first.labels, {"split": "test"})
    SampleSet.of([*squares(range(9)), copy]).save(tmp_path / "more")
    with pytest.raises(ConfigError, match=r"'more' are copies of training or validation images of 'discs'.*'copy'"):
        plan_of(tmp_path, trial_study, test_on=[str(tmp_path / "more")])


def test_a_start_on_the_test_images_is_refused(tmp_path: Path, trial_study: dict, other: Path) -> None:
    SampleSet.of([Sample(s.id, s.image, s.labels) for s in squares(range(9))]).save(tmp_path / "first")
    study = trial_study | {"segmenters": ["warm"], "init": f"dataset:{tmp_path / 'first'}"}
    with pytest.raises(ConfigError, match=r"'squares' \(test_on\)"):
        plan_of(tmp_path, study, test_on=[str(other)])


def test_ready_made_images_that_are_test_images_elsewhere_are_refused(
    tmp_path: Path, trial_study: dict, other: Path
) -> None:
    made = [Sample(f"made-{s.id}", s.image, s.labels) for s in squares(range(9))]
    SampleSet.of(made).save(tmp_path / "made")
    with pytest.raises(ConfigError, match=r"'squares' \(test_on\)"):
        plan_of(tmp_path, trial_study, generators=[str(tmp_path / "made")], test_on=[str(other)])


def test_weights_that_have_seen_the_other_dataset_are_marked_there_alone(
    tmp_path: Path, trial_study: dict, other: Path
) -> None:
    weights = tmp_path / "level"
    weights.write_text("90.0")
    init = [{"file": str(weights), "trained_on": ["squares"]}]
    plan = plan_of(tmp_path, trial_study, segmenters=["warm"], init=init, test_on=[str(other)])
    assert {(run.tested_on, run.weights_seen) for run in plan.training_runs} == {("", "no"), ("squares", "squares")}
    assert any("squares" in note for note in study_notes(plan.resolved))


def test_a_study_has_a_table_for_each_test_set(tmp_path: Path, trial_study: dict, other: Path) -> None:
    study = trial_study | {"test_on": [str(other)], "fractions": [2, 1.0]}
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert run.failed == 0
    results = load_results(run.folder)
    tests = results.images.groupby("tested_on")["image"].agg(set)
    assert set(tests.index) == {"discs", "squares"}
    assert tests["squares"] == {"square-1", "square-4", "square-7"}
    assert (results.images.loc[results.images["tested_on"] == "squares", "true"] == 1).all()
    found = table(results)
    assert found.groupby(["tested_on", "fraction"])["arm"].nunique().eq(2).all()
    # a bright square on a dark ground is found by any threshold that discs are found by
    assert found.loc[found["tested_on"] == "squares", "f1@0.50"].eq(1).all()
    smaller = found[(found["fraction"] == 2) & (found["arm"] == "real")]
    assert smaller["headroom_images"].nunique() == 1
    assert smaller["headroom"].notna().all()
    assert found.loc[found["tested_on"] == "squares", "fidelity_n"].isna().all()
    assert set(by_group(results, "difficulty")["tested_on"]) == {"discs", "squares"}
    page = run.write_report().read_text(encoding="utf-8")
    assert "trained on discs, tested on squares" in page
    assert (tmp_path / "run" / "splits" / "squares.json").is_file()
