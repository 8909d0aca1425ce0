"""The engine's overhead: 1,000 trivial tasks, computed and then answered from the store."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType

from synthbench.engine.base import Options, Outcome
from synthbench.engine.local import LocalEngine
from synthbench.engine.schedule import run_tasks
from synthbench.engine.serial import SerialEngine
from synthbench.plugin.api import Config
from synthbench.store import Store, key_of
from synthbench.study.plan import Task

COUNT = 1000


def trivial_tasks() -> list[Task]:
    """A thousand tasks that write one small file, each tenth of which nine others need."""
    tasks: list[Task] = []
    for i in range(COUNT):
        content = {"kind": "trial", "number": i}
        needs = (tasks[i - i % 10].key,) if i % 10 else ()
        tasks.append(Task("trial", key_of(content), content, needs, {}, f"trial {i}"))
    return tasks


def install_kind(monkeypatch) -> None:
    module = ModuleType("synthbench.engine.tasks.trial")

    def run(work) -> dict:
        (work.folder / "answer.txt").write_text(str(work.task.content["number"]))
        return {}

    module.run = run
    monkeypatch.setitem(sys.modules, "synthbench.engine.tasks.trial", module)


def test_a_thousand_trivial_tasks_cost_less_than_5_ms_each_and_less_than_1_s_again(tmp_path: Path, monkeypatch) -> None:
    install_kind(monkeypatch)
    tasks, store = trivial_tasks(), Store(tmp_path)
    outcomes: list[Outcome] = []

    began = time.perf_counter()
    engine = SerialEngine(Options(store=str(tmp_path)), Config())
    run_tasks(tasks, engine, store, lambda heard: outcomes.append(heard) if isinstance(heard, Outcome) else None)
    first = time.perf_counter() - began
    assert [outcome.status for outcome in outcomes] == ["done"] * COUNT

    began = time.perf_counter()
    assert all(store.find(task.kind, task.key) for task in tasks)
    second = time.perf_counter() - began
    print(f"\nserial: {first / COUNT * 1e3:.2f} ms a task; the second pass {second:.3f} s for {COUNT}")
    assert first / COUNT < 0.005
    assert second < 1.0


def test_a_worker_process_adds_little(tmp_path: Path, monkeypatch) -> None:
    """Tasks of an unknown kind fail at once in the worker: what is left is the way there and back."""
    tasks = [Task("trial", key_of(i), {"number": i}, (), {}, f"trial {i}") for i in range(COUNT)]
    engine = LocalEngine(Options(store=str(tmp_path)), Config())
    outcomes: list[Outcome] = []
    run_tasks(tasks[:1], engine, Store(tmp_path), lambda _: None)
    engine = LocalEngine(Options(store=str(tmp_path)), Config())
    engine.start(tasks[0])
    while not any(isinstance(heard, Outcome) for heard in engine.wait(1.0)):
        pass
    began = time.perf_counter()
    run_tasks(
        tasks[1:], engine, Store(tmp_path), lambda heard: outcomes.append(heard) if isinstance(heard, Outcome) else None
    )
    each = (time.perf_counter() - began) / len(outcomes)
    print(f"\nlocal: {each * 1e3:.2f} ms a task, there and back")
    assert each < 0.005
