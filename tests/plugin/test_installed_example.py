"""A stranger's distribution is found by its entry point, and its plugins are as good as built-in ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synthbench.plugin.hookspecs import HOOKS

PLUGINS = {
    "synthbench_generators": ["example-elastic", "example-painter"],
    "synthbench_segmenters": ["example-watershed"],
    "synthbench_encoders": ["example-texture"],
    "synthbench_datasets": ["example-epithelium"],
    "synthbench_engines": ["example-fresh"],
    "synthbench_loggers": ["example-lines"],
}
TRAINED = "example-painter"


def test_the_example_implements_every_hook() -> None:
    assert set(PLUGINS) == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_brings_its_plugins_into_the_list(hook: str, example_site: Any) -> None:
    kind = HOOKS[hook]
    done = example_site.synthbench("list", f"{kind}s", "--json")
    assert done.returncode == 0, done.stderr
    mine = [row for row in json.loads(done.stdout)["plugins"] if row["from"].startswith("synthbench-example-plugin ")]
    assert [(row["kind"], row["name"], row["disabled_reason"]) for row in mine] == [
        (kind, name, "") for name in PLUGINS[hook]
    ]


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        pytest.param(hook, name, marks=[pytest.mark.slow] * (name == TRAINED))
        for hook, names in PLUGINS.items()
        for name in names
    ],
)
def test_every_plugin_of_the_example_keeps_the_contract(hook: str, name: str, example_site: Any) -> None:
    done = example_site.synthbench("check", name, "--kind", HOOKS[hook], "--json")
    results = json.loads(done.stdout)["results"]
    assert [f["message"] for f in results if f["status"] == "failed"] == []
    assert sum(f["status"] == "passed" for f in results) >= 8
    assert done.returncode == 0


@pytest.mark.slow
def test_the_example_runs_in_a_study(example_site: Any, tmp_path: Any) -> None:
    done = example_site.synthbench(
        *("run", "--dataset", "example-epithelium", "--generators", "example-elastic"),
        *("--segmenters", "example-watershed", "--seeds", "1", "--synthetic", "6", "--engine", "serial"),
        *("--store", str(tmp_path / "store"), "--out", str(tmp_path / "run")),
    )
    assert done.returncode == 0, done.stderr
    assert "example-elastic" in done.stdout
    assert "example-watershed" in done.stdout
    assert (tmp_path / "run" / "report.html").is_file()
