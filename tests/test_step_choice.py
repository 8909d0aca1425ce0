"""``steps: auto``: which number is chosen, that it costs nothing twice, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import synthbench
from synthbench.errors import ConfigError
from synthbench.leaderboard import markdown, table, terminal
from synthbench.leaderboard.advice import advice
from synthbench.study.model import make_study

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def study(trial_study: dict) -> dict:
    """The segmenter finds nothing with 3 and 6 steps, and everything from 12 steps on."""
    budget = {"name": "smoke", "steps": "auto"}
    return trial_study | {"segmenters": ["patient"], "fractions": [3, 1.0], "budget": budget}


def test_steps_are_doubled_until_scores_stay_flat(tmp_path: Path, study: dict) -> None:
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert run.failed == 0
    (choice,) = run.results.study.segmenters
    assert choice.budget.steps == 12
    scores = choice.budget.score_by_steps["discs"]
    assert list(scores) == [3, 6, 12, 24]
    assert scores[3] < 0.05
    assert scores[12] == scores[24] > 0.5
    fits = {
        task.content["plugin"]["budget"]["steps"] for task in run.plan.tasks.values() if task.kind == "fit-segmenter"
    }
    assert fits == {12}, "every arm"
    again = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert set(again.results.tasks["status"]) == {"stored"}
    assert "24 steps. More steps bring less than 0.01, so it is trained for 12." in markdown(table(run.results))
    assert "24 steps. More steps" in run.write_report().read_text(encoding="utf-8")


@pytest.mark.parametrize("needed", [30, 60], ids=["rises at the end", "finds nothing yet"])
def test_what_is_not_flat_at_the_end_is_said_to_be_not_converged(tmp_path: Path, study: dict, needed: int) -> None:
    slow = {"segmenters": [{"name": "patient", "config": {"needed": needed}}]}
    run = synthbench.run(study | slow, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert run.results.study.segmenters[0].budget.steps == 24
    assert "Not converged" in markdown(table(run.results))


@pytest.mark.parametrize(("needed", "mark"), [(3, "converged"), (6, "not converged"), (60, "not converged")])
def test_a_fixed_number_of_steps_is_compared_with_half_of_it(
    tmp_path: Path, study: dict, needed: int, mark: str
) -> None:
    """The scores of both are those that `steps: auto` finds; the study's own trainings stay as they are."""
    asked = study | {"segmenters": [{"name": "patient", "config": {"needed": needed}}, "blind"], "fractions": [1.0]}
    auto = synthbench.run(asked, folder=tmp_path / "auto", store=tmp_path / "store", engine="serial")
    fixed = asked | {"budget": {"name": "smoke", "steps": 6}, "check_convergence": True}
    planned = synthbench.plan(fixed, store=tmp_path / "other", device="cpu")
    assert any("patient" in line and "3 steps" in line for line in planned.warnings)
    run = synthbench.run(fixed, folder=tmp_path / "run", store=tmp_path / "other", engine="serial")
    budget = run.results.study.segmenters[0].budget
    assert budget.steps == 6
    found = auto.results.study.segmenters[0].budget.score_by_steps["discs"]
    assert budget.score_by_steps["discs"] == {steps: found[steps] for steps in (3, 6)}
    board = table(run.results).set_index("segmenter")["convergence"]
    assert set(board["patient"]) == {mark}
    assert set(board["blind"]) == {""}
    console = Console(width=120, record=True, file=StringIO())
    console.print(terminal(run.results))
    assert ("patient ‡" in console.export_text()) == (mark == "not converged")
    (first, *_) = (each for each in advice(run.results) if each.segmenter == "patient")
    assert first.options[-1].helps == (mark == "not converged")
    assert not synthbench.plan(fixed, store=tmp_path / "other", device="cpu").missing


def test_scores_of_other_steps_are_not_those_of_this_budget(tmp_path: Path, study: dict) -> None:
    """A study file of a run that was edited since."""
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    (choice,) = run.results.study.segmenters
    edited = choice.model_copy(update={"budget": choice.budget.model_copy(update={"steps": 100})})
    results = replace(run.results, study=run.results.study.model_copy(update={"segmenters": [edited]}))
    assert set(table(results)["convergence"]) == {""}
    assert advice(results)[0].options[-1].helps is None


def test_a_segmenter_that_takes_no_steps_stays_as_it_is(tmp_path: Path, study: dict) -> None:
    planned = synthbench.plan(study | {"segmenters": ["blind", "patient"]}, store=tmp_path / "store", device="cpu")
    assert planned.plan.resolved.study.segmenters[0].budget is None
    assert any("patient" in line for line in planned.warnings)
    assert not any("blind: steps" in line for line in planned.warnings)


def test_choosing_looks_at_no_test_image(tmp_path: Path, study: dict) -> None:
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    test = set(run.plan.resolved.conditions[0].test.ids)
    records = list((tmp_path / "store" / "evaluate").glob("*/scores.json"))
    planned = {run.evaluate for run in run.plan.training_runs} | {row.evaluate for row in run.plan.label_consistency}
    chosen = [path for path in records if path.parent.name not in planned]
    assert chosen
    for path in chosen:
        assert not any(f'"{name}"' in path.read_text() for name in test)


def test_plan_says_what_is_not_known_yet_and_uses_what_is(tmp_path: Path, study: dict) -> None:
    before = synthbench.plan(study, store=tmp_path / "store", device="cpu")
    assert any("3 steps" in line and "24" in line for line in before.warnings)
    synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    after = synthbench.plan(study, store=tmp_path / "store", device="cpu")
    assert after.missing == ()


@pytest.mark.parametrize(
    "change",
    [
        {"generators": [{"name": "brighter", "budget": {"steps": "auto"}}]},
        {"init": [{"dataset": "rings", "budget": {"steps": "auto"}}]},
        {"budget": {"steps": "automatic"}},
    ],
)
def test_what_cannot_be_chosen_is_refused(study: dict, change: dict) -> None:
    with pytest.raises(ConfigError, match=r"steps|budget"):
        make_study(study | change, "test")
