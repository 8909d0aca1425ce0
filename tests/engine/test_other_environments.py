"""Tasks of other environments run in processes of their interpreters; one that can't be had fails its tasks alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.engine.base import Engine, Options, Outcome
from synthbench.engine.local import LocalEngine
from synthbench.engine.schedule import run_tasks
from synthbench.engine.serial import SerialEngine
from synthbench.plugin.api import Config
from synthbench.store import Store, key_of
from synthbench.study.plan import Task


@pytest.mark.parametrize("engine", [LocalEngine, SerialEngine])
@pytest.mark.parametrize("interpreters", [{}, {"old": "/no/such/python"}], ids=["unknown", "missing"])
def test_an_interpreter_that_cannot_be_started_fails_its_tasks_with_one_line(
    tmp_path: Path, engine: type[Engine[Config]], interpreters: dict[str, str]
) -> None:
    store = Store(tmp_path / "store")
    task = Task("draw", key_of("a"), {"plugin": {"budget": {}}}, (), {}, "a", "gan", "old")
    heard: list[object] = []
    run_tasks([task], engine(Options(str(store.root), interpreters=interpreters), Config()), store, heard.append)
    (outcome,) = heard
    assert isinstance(outcome, Outcome)
    assert outcome.status == "failed"
    assert (interpreters or {"old": "'old'"})["old"] in outcome.error
    assert "\n" not in outcome.error
