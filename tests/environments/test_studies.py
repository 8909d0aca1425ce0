"""Studies with plugins of other environments: keys are made of what is installed there, and tasks run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.environments import packages_here
from synthbench.cli import main
from synthbench.engine.base import Options
from synthbench.engine.run_task import run_task
from synthbench.engine.worker_process import WorkerProcess, wait_for_workers
from synthbench.environments.registered import interpreters, register
from synthbench.errors import ConfigError, PluginError
from synthbench.store import Store
from synthbench.study.model import PluginConfig, make_study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

STUDY = {
    "name": "mixed",
    "datasets": ["discs"],
    "generators": ["duplicate", "brighter"],
    "segmenters": ["threshold"],
    "encoder": "moments",
    "synthetic": [4],
    "seeds": 1,
    "budget": "smoke",
}
THERE = "9.9"
"""The version that the second environment says its NumPy has."""


def plan_of(home: Path, **changes: Any) -> Plan:
    return make_plan(resolve(make_study({**STUDY, **changes}, "test"), Store(home / "store")))


@pytest.fixture
def other(home: Path, second: str) -> Path:
    """The second environment, registered as `other`; returns the home."""
    register("other", second)
    return home


def test_keys_are_made_of_the_versions_of_the_environment_in_which_a_task_runs(other: Path) -> None:
    plan = plan_of(other)
    seen = {(task.kind, task.plugin): task for task in plan.tasks.values()}
    assert {where: task.environment for where, task in seen.items()} == {
        ("fit-generator", "duplicate"): "",
        ("draw", "duplicate"): "",
        ("fit-generator", "brighter"): "other",
        ("draw", "brighter"): "other",
        ("fit-segmenter", "threshold"): "other",
        ("evaluate", "threshold"): "other",
        ("encode", "moments"): "other",
        ("assess", ""): "",
    }
    parts = {
        where: [task.content, task.content.get("plugin", {})] for where, task in seen.items() if where[0] != "draw"
    }
    numpy = {
        where: next(part["versions"]["numpy"] for part in found if "versions" in part) for where, found in parts.items()
    }
    assert {where for where, version in numpy.items() if version == THERE} == {
        where for where, task in seen.items() if task.environment and where[0] != "draw"
    }


@pytest.mark.slow
def test_a_plugin_has_the_same_key_wherever_the_same_is_installed(home: Path, second: str, tmp_path: Path) -> None:
    """The name of the environment is no part of a key; nor does it matter who plans."""
    register("a", second)
    register("b", second)
    titles = {"segmenters": ["threshold@a", {"name": "threshold", "environment": "b"}]}
    plan = plan_of(home, **titles)
    assert [choice.title for choice in plan.resolved.segmenters] == ["threshold@a", "threshold@b"]
    assert {run.fit for run in plan.training_runs if run.segmenter == "threshold@a"} == {
        run.fit for run in plan.training_runs if run.segmenter == "threshold@b"
    }
    code = (
        "import sys; from synthbench.store import Store; from synthbench.study.model import make_study\n"
        "from synthbench.study.plan import make_plan; from synthbench.study.resolve import resolve; import json\n"
        "study = make_study(json.loads(sys.argv[1]), 'test')\n"
        "print(*make_plan(resolve(study, Store(sys.argv[2]))).tasks)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["SYNTHBENCH_HOME"] = str(tmp_path / "elsewhere")
    command = [second, "-P", "-c", code, json.dumps(STUDY), str(home / "store")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    here = plan_of(home)
    of_there = {key for key, task in here.tasks.items() if task.environment and task.kind.startswith("fit")}
    alone = {key for key in of_there if not here.tasks[key].content.get("synthetic")}
    assert alone
    assert alone <= set(done.stdout.split())


def test_a_task_checks_the_environment_that_it_runs_in(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of the other environment is refused here, where the versions are others, and done there."""
    plan = plan_of(other, generators=[])
    task = next(task for task in plan.tasks.values() if task.kind == "fit-segmenter")
    options = Options(str(other / "store"), interpreters=interpreters())
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "trial"))
    here = run_task(replace(task, environment=""), options, lambda event: None)
    assert here.status == "failed"
    worker = WorkerProcess(options, [], environment="other")
    try:
        worker.start(task)
        answers: list[Any] = []
        while worker.task is not None and worker.is_running():
            wait_for_workers([worker], 1.0)
            answers += worker.receive()
    finally:
        worker.end()
    assert answers[-1].status == "done", answers[-1]
    record = Store(other / "store").get("fit-segmenter", task.key).record
    assert record["versions"]["numpy"] == f"{THERE}.1"


@pytest.mark.slow
def test_an_environment_is_asked_by_one_process_per_plan(
    home: Path, second: str, counted: Callable[[str], tuple[str, Callable[[], int]]]
) -> None:
    python, starts = counted(second)
    register("other", python)
    plan_of(home)
    assert starts() == 2, "one for the list of plugins, one for the plan"
    plan_of(home)
    assert starts() == 3
    plan_of(home, datasets=["phantom-nuclei"], segmenters=["unet"], generators=[], encoder="untrained")
    assert starts() == 3


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"segmenters": ["threshold@nowhere"]}, ConfigError, "unknown environment 'nowhere'"),
        ({"segmenters": ["unet@other", "unet@other"]}, ConfigError, "'unet@other' occurs twice"),
        ({"segmenters": [{"name": "threshold", "config": {"secs": 1}}]}, ConfigError, "segmenter 'threshold': config"),
        ({"generators": [{"name": "brighter", "config": {"gain": 9}}]}, ConfigError, "'brighter' on dataset 'discs'"),
        ({"segmenters": ["stranger"]}, PluginError, "unknown segmenter 'stranger'"),
        ({"datasets": [{"name": "discs", "ignore": 255}]}, ConfigError, "dataset 'discs'"),
    ],
)
def test_what_is_wrong_with_a_plugin_elsewhere_is_said_as_of_one_here(
    other: Path, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        plan_of(other, **changes)
    assert "\n" not in str(caught.value)


def test_a_study_names_an_environment_by_a_key_or_after_the_name() -> None:
    by_key, by_name = PluginConfig(name="unet", environment="old"), PluginConfig.model_validate("unet@old")
    assert by_key == by_name
    assert by_name.title == "unet@old"
    assert PluginConfig.model_validate("unet").title == "unet"
    assert PluginConfig.model_validate({"name": "unet@old", "label": "U-Net"}).title == "U-Net"


@pytest.mark.usefixtures("other")
def test_show_speaks_of_a_plugin_of_an_environment(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "brighter"]) == 0
    assert "gain: 1.2" in capfd.readouterr().out
    assert main(["show", "unet@other", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["plugins"][0]["name"] == "unet"
    assert main(["show", "brighter@nowhere"]) == 2
    assert "unknown environment 'nowhere'" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("other")
def test_check_runs_in_the_environment_of_a_plugin(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "moments", "--json"]) in (0, 1, 3)
    results = json.loads(capfd.readouterr().out)["results"]
    assert {row["kind"] for row in results} == {"encoder"}
    assert any(row["status"] == "passed" for row in results)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [("local", "--workers", "1"), ("serial",), ("dask", "--workers", "1")])
def test_a_study_runs_across_environments(tmp_path: Path, second: str, engine: tuple[str, ...]) -> None:
    if engine[0] == "dask":
        pytest.importorskip("distributed")
    home = tmp_path / "home"
    (home / "envs" / "other").mkdir(parents=True)
    (home / "envs" / "other" / "environment.json").write_text(json.dumps({"python": second}))
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "generators": ["brighter", "duplicate", "duplicate@other"]}))
    environment = {**os.environ, "SYNTHBENCH_HOME": str(home), "PYTHONPATH": os.pathsep.join(packages_here())}

    def command(*words: str) -> str:
        whole = [sys.executable, "-m", "synthbench", *words]
        done = subprocess.run(
            whole, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = command("run", str(path), "--quiet", "--engine", *engine)
    assert "duplicate@other" in table
    plan = json.loads((tmp_path / "runs" / "mixed" / "plan.json").read_text())
    versions = {}
    for key, row in plan.items():
        record = json.loads((home / "store" / row["kind"] / key / "record.json").read_text())
        versions[row["kind"], record["plugin"], record["versions"]["numpy"] == f"{THERE}.1"] = key
    assert ("fit-generator", "brighter", True) in versions
    assert {("fit-generator", "duplicate", True), ("fit-generator", "duplicate", False)} <= versions.keys()
    assert ("assess", "", False) in versions
    again = json.loads(command("plan", str(path), "--json"))
    assert not [task for task in again["tasks"] if task["runs"]]
    key = versions["evaluate", "threshold", True]
    explained = json.loads(command("explain", key, "--json"))
    assert explained["stored"]
    shutil.rmtree(home / "store")
