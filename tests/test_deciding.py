"""Studies that train in rounds until arms are decided, through the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from synthbench import run
from synthbench.engine import schedule
from synthbench.errors import ConfigError
from synthbench.results import load_results
from synthbench.runner import run_study
from synthbench.study.model import MOST_SEEDS, make_study

STUDY = {"datasets": ["d"], "generators": ["g"], "segmenters": ["s", {"name": "t", "seeds": 2}]}


@pytest.mark.parametrize(
    ("given", "seeds", "own"),
    [({}, MOST_SEEDS, MOST_SEEDS), ({"seeds": 2}, MOST_SEEDS, MOST_SEEDS), ({"seeds": 5}, 5, 12)],
)
def test_seeds_are_the_largest_number_where_a_study_decides(given: dict[str, int], seeds: int, own: int) -> None:
    study = make_study({**STUDY, **given, "decide": 0.02}, "x")
    assert study.seeds == seeds
    assert study.segmenters[1].seeds == own
    assert make_study(json.loads(study.model_dump_json(exclude_none=True)), "x") == study
    assert make_study({**STUDY, **given}, "x").segmenters[1].seeds == 2


@pytest.mark.parametrize(
    ("change", "value"),
    [({"decide": 0}, "decide"), ({"decide": 1.5}, "1.5"), ({"decide": 0.1, "generators": []}, "decide")],
)
def test_a_margin_that_decides_nothing_is_refused(change: dict[str, object], value: str) -> None:
    with pytest.raises(ConfigError, match=value):
        make_study({**STUDY, **change}, "x")


@pytest.mark.slow
def test_a_fixed_study_is_continued_until_its_arms_are_decided(trial) -> None:
    """The trial segmenter has no randomness, so test images are the only noise; one arm is looked at after five."""
    study = trial.study(seeds=3)
    trial.call("run", study)
    before = trial.artifacts("fit-segmenter")
    done = trial.call("run", study, "--decide", "0.9", "--seeds", "7")
    after = trial.artifacts("fit-segmenter")
    assert before.items() <= after.items(), "what was stored is used"
    assert len(after) == 2 * 5
    assert "1 of 1 arms need no more seeds; at most 0 trainings remain" in done.stderr
    results = load_results(trial.folder / "runs" / "trial")
    assert results.study.decide == 0.9
    assert set(results.runs["status"]) == {"ok"}
    assert results.runs["seed"].nunique() == 5
    assert results.label_consistency["seed"].nunique() == 5
    assert set(results.tasks["status"]) == {"done", "stored"}
    shown = json.loads(trial.call("leaderboard", trial.folder / "runs" / "trial", "--format", "json").stdout)
    arm = next(row for row in (shown["rows"] if isinstance(shown, dict) else shown) if row["arm"] != "real")
    assert arm["p_margin"] < 0.05
    assert arm["decision"] == "decided after 5 seeds"
    assert arm["completed"] == "5/5"
    again = trial.call("run", trial.folder / "runs" / "trial" / "study.yaml", "--out", trial.folder / "runs" / "trial")
    assert trial.artifacts("fit-segmenter") == after
    assert "at most 0 trainings remain" in again.stderr


@pytest.mark.slow
def test_time_that_is_up_leaves_the_last_complete_round(trial) -> None:
    trial.study(seeds=7, decide=0.9, segmenters=[{"name": "threshold", "config": {"seconds": 0.2}}])
    done = trial.call("run", "study.yaml", "--within", "0.001s")
    assert "at most" in done.stderr
    runs = load_results(trial.folder / "runs" / "trial").runs
    assert set(runs["status"]) == {"missing"}
    assert set(runs["seed"]) == {0, 1}


@pytest.mark.usefixtures("trial_registry")
@pytest.mark.parametrize("stop", ["time", "signal"])
def test_a_stop_within_a_round_leaves_the_round_before_and_the_same_end(
    tmp_path: Path, trial_study: dict, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    """Seeds of a round that isn't complete are in the store, and in no result until it is."""
    study = trial_study | {"decide": 0.9, "seeds": 7}
    whole = run(study, store=tmp_path / "whole", folder=tmp_path / "w", engine="serial")
    rounds = []

    def run_tasks(tasks: list[Any], *rest: Any) -> bool:
        rounds.append(len(tasks))
        if len(rounds) < 2:
            return schedule.run_tasks(tasks, *rest)
        first = next(number for number, task in enumerate(tasks) if task.kind == "fit-segmenter")
        schedule.run_tasks(tasks[: first + 1], *rest)
        if stop == "signal":
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(sys.modules[run_study.__module__], "run_tasks", run_tasks)
    if stop == "signal":
        with pytest.raises(KeyboardInterrupt):
            run(study, store=tmp_path / "part", folder=tmp_path / "p", engine="serial")
    else:
        part = run(study, store=tmp_path / "part", folder=tmp_path / "p", engine="serial")
        assert set(part.results.runs["status"]) == {"ok"}
        assert set(part.results.runs["seed"]) == {0, 1} < set(whole.results.runs["seed"])
        assert part.failed == 0
    assert len(rounds) == 2
    monkeypatch.undo()
    again = run(study, store=tmp_path / "part", folder=tmp_path / "p", engine="serial")
    assert_frame_equal(again.results.images, whole.results.images)
    trained = [{each.name for each in (tmp_path / name / "fit-segmenter").iterdir()} for name in ("whole", "part")]
    assert trained[0] == trained[1]


def test_a_time_is_refused_for_a_study_that_does_not_decide(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="decide"):
        run({"datasets": ["phantom-nuclei"], "segmenters": ["unet"]}, store=tmp_path, folder=tmp_path / "r", within=9)
