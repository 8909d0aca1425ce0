"""The contract of engines, check by check."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from synthbench.engine import Engine, Event, Options, Outcome
from synthbench.engine.schedule import Message, Missing, run_tasks
from synthbench.engine.serial import SerialEngine
from synthbench.plugin.api import Config
from synthbench.store import Store, key_of
from synthbench.study.model import make_study
from synthbench.study.plan import Task, make_plan
from synthbench.study.resolve import resolve
from synthbench.testing._data import discs
from synthbench.testing._shared_checks import check_config_class, methods_are_implemented
from synthbench.testing.check_results import CheckResult, Skipped, plugin_call, require, run_checks_in_folder

__all__ = ["check_engine", "iter_engine_checks"]

PATIENCE = 180.0
"""Seconds that an engine may take for tasks that take a second."""

GRACE = 20.0
"""Seconds that a training gets to stop."""

LONG = 1_000_000
"""Optimiser steps of a training that doesn't end by itself."""


def check_engine(cls: type[Engine[Any]], *, config: Mapping[str, Any] | None = None) -> list[CheckResult]:
    """Try an engine's class against the contract, with real tasks of a small study.

    Parameters
    ----------
    cls
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of CheckResult
        One per check, in order.
    """
    return list(iter_engine_checks(cls, config))


def iter_engine_checks(cls: type[Engine[Any]], config: Mapping[str, Any] | None) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_engine` as they come."""
    return run_checks_in_folder(CHECKS, lambda folder: _EngineHarness(cls, folder, dict(config or {})))


class _EngineHarness:
    """Tasks to run: two generators that only remember samples, their draws, and a training that is long."""

    def __init__(self, cls: type[Engine[Any]], folder: Path, keys: dict[str, Any]) -> None:
        self.cls, self.folder, self.keys = cls, folder, keys
        self._data = folder / "discs"
        discs(12, size=72).save(self._data)

    def store(self, name: str) -> Store:
        return Store(self.folder / name)

    def tasks(self, store: Store, *kinds: str, steps: int = 1) -> list[Task]:
        """Return the tasks of some kinds, planned for a store."""
        study = {
            "name": "check",
            "datasets": [str(self._data)],
            "generators": ["duplicate", "shuffled"],
            "segmenters": ["unet"],
            "synthetic": [4],
            "seeds": 1,
            "budget": {"name": "smoke", "steps": steps},
        }
        plan = make_plan(resolve(make_study(study, "the check"), store), "cpu")
        return [task for task in plan.tasks.values() if task.kind in kinds]

    def engine(self, store: Store, cls: type[Engine[Any]] | None = None) -> Engine[Any]:
        made = cls or self.cls
        options = Options(str(store.root), device="cpu", workers=min(2, self.cls.most_workers or 2))
        with plugin_call(f"{made.__name__}(options, config)"):
            return made(options, Config() if cls else made.Config(**self.keys))

    @cached_property
    def chains(self) -> list[Message]:
        """What was heard of two chains of tasks, run once for all checks that look at them; see `chain_tasks`."""
        return self.run(self.chain_tasks(self.store("ours")), self.store("ours"))

    def chain_tasks(self, store: Store) -> list[Task]:
        """Return tasks of which some need others."""
        return self.tasks(store, "fit-generator", "draw")

    def run(self, tasks: Sequence[Task], store: Store, cls: type[Engine[Any]] | None = None) -> list[Message]:
        """Run tasks as a study does; return what was heard."""
        heard: list[Message] = []
        with plugin_call("running tasks"):
            run_tasks(tasks, self.engine(store, cls), store, heard.append)
        return heard


def _wait(engine: Engine[Any], wanted: Callable[[list[Event | Outcome]], bool], what: str) -> list[Event | Outcome]:
    """Hear an engine until something has come."""
    heard: list[Event | Outcome] = []
    deadline = time.monotonic() + PATIENCE
    while not wanted(heard):
        require(time.monotonic() < deadline, f"{what} didn't come within {PATIENCE:g} s")
        with plugin_call("wait"):
            heard += engine.wait(0.5)
    return heard


def _outcomes(heard: Sequence[Any]) -> dict[str, Outcome]:
    return {message.key: message for message in heard if isinstance(message, Outcome)}


# -- the checks -------------------------------------------------------------------------------------------------------


def configuration_is_declared(harness: _EngineHarness) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config_class(harness.cls, harness.keys)


def tasks_are_started_and_finished(harness: _EngineHarness) -> None:
    """Each task that is started has one outcome, and its artifact is stored; free() counts down, and up again."""
    store = harness.store("started")
    tasks = harness.tasks(store, "fit-generator")
    engine = harness.engine(store)
    try:
        places = engine.free()
        require(places >= 1, f"free() of a new engine gave {places}")
        started: list[Task] = []
        while engine.free() and len(started) < len(tasks):
            started.append(tasks[len(started)])
            engine.start(started[-1])
            left = places - len(started)
            require(engine.free() == left, f"free() gave {engine.free()} after {len(started)} of {places} were started")
        heard = _wait(engine, lambda heard: len(_outcomes(heard)) == len(started), "the outcome of each task")
        ends = [message for message in heard if isinstance(message, Outcome)]
        require(len(ends) == len(started), "a task had two outcomes")
        for end in ends:
            require(end.status == "done", f"a task ended as {end.status}: {end.error}")
        require(
            all(store.find(task.kind, task.key) for task in started), "a task was done, and its artifact isn't stored"
        )
        require(engine.free() == places, f"free() gave {engine.free()} when nothing ran, and {places} at first")
        require(engine.wait(0.0) == [], "wait() had something to tell of when nothing ran")
    finally:
        engine.close()


def what_a_task_needs_comes_first(harness: _EngineHarness) -> None:
    """A task begins when what it needs is stored, whatever the order in which outcomes come."""
    wrong = [f"{end.status}: {end.error}" for end in _outcomes(harness.chains).values() if end.status != "done"]
    require(not wrong, f"a task of a chain ended as {wrong and wrong[0]}")


def a_failure_is_an_outcome(harness: _EngineHarness) -> None:
    """A task that fails has an outcome with one line that says why; what needs it is not run, and others are."""
    store = harness.store("failing")
    tasks = harness.tasks(store, "fit-generator", "draw")
    first = tasks[0]
    content = {**first.content, "core": "another version"}
    bad = dataclasses.replace(first, content=content, key=key_of(content))
    needs = {first.key: bad.key}
    changed = [
        bad if task is first else dataclasses.replace(task, needs=tuple(needs.get(key, key) for key in task.needs))
        for task in tasks
    ]
    heard = harness.run(changed, store)
    ends = _outcomes(heard)
    require(bad.key in ends and ends[bad.key].status == "failed", "a task that fails has no outcome 'failed'")
    error = ends[bad.key].error
    require(error and "\n" not in error, f"the error of a failed task is {error!r}, not one line")
    missing = [message for message in heard if isinstance(message, Missing)]
    wanted = [task.key for task in changed if bad.key in task.needs]
    require([message.key for message in missing] == wanted, "what needs the failed task, and nothing else, isn't run")
    done = {key for key, end in ends.items() if end.status == "done"}
    require(done == {task.key for task in changed} - {bad.key, *wanted}, "a task was not run that needs no failed one")


def results_are_those_of_the_serial_engine(harness: _EngineHarness) -> None:
    """Artifacts are the same, file by file, as those of the built-in engine that runs one task after another."""
    ours, theirs = harness.store("ours"), harness.store("theirs")
    require(bool(_outcomes(harness.chains)), "no task had an outcome")
    harness.run(harness.chain_tasks(theirs), theirs, SerialEngine)
    one, other = _files(harness, ours, harness.cls), _files(harness, theirs, SerialEngine)
    differing = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    require(not differing, f"{len(differing)} files differ, such as {differing and differing[0]}")


def _files(harness: _EngineHarness, store: Store, cls: type[Engine[Any]]) -> dict[str, Any]:
    """Return the SHA-256 of each file of the chains' artifacts in a store."""
    artifacts = {task.key: store.find(task.kind, task.key) for task in harness.chain_tasks(store)}
    require(all(artifacts.values()), f"an artifact is missing from the store of {cls.__name__}")
    files = {key: artifact.record["files"] for key, artifact in artifacts.items() if artifact}
    return {f"{key[:12]}/{file}": state["sha256"] for key, each in files.items() for file, state in each.items()}


def stopping_leaves_nothing_running(harness: _EngineHarness) -> None:
    """close(grace) stops a training, which leaves a checkpoint and the outcome 'stopped'; no process is left."""
    if harness.cls.most_workers == 1:
        raise Skipped("it runs a task within start(), which ends with the task")
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    store = harness.store("stopped")
    task = harness.tasks(store, "fit-segmenter", steps=LONG)[0]
    engine = harness.engine(store)
    try:
        engine.start(task)
        _wait(
            engine,
            lambda heard: any(isinstance(m, Outcome) or (m.stage == "fit" and m.done > 0) for m in heard),
            "a report of the training",
        )
    finally:
        began = time.monotonic()
        with plugin_call("close(grace)"):
            ended = _outcomes(engine.close(GRACE))
    require(time.monotonic() - began < 2 * GRACE, f"close({GRACE:g}) took {time.monotonic() - began:.0f} s")
    status = ended[task.key].status if task.key in ended else "nothing"
    require(status == "stopped", f"the outcome of a stopped training is {status}")
    require(any(store.work_folder(task.kind, task.key).iterdir()), "the stopped training left no checkpoint")
    require(store.find(task.kind, task.key) is None, "the stopped training left an artifact")
    deadline = time.monotonic() + 10
    while left := [p for p in psutil.Process().children(recursive=True) if p.pid not in before and _counts(p)]:
        require(time.monotonic() < deadline, f"{len(left)} processes are left after close()")
        time.sleep(0.1)


def _counts(process: psutil.Process) -> bool:
    """Whether a process still does something; the one that keeps account of shared memory ends with this one."""
    try:
        command = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in command
    except psutil.Error:
        return False


CHECKS = (
    methods_are_implemented,
    configuration_is_declared,
    tasks_are_started_and_finished,
    what_a_task_needs_comes_first,
    a_failure_is_an_outcome,
    results_are_those_of_the_serial_engine,
    stopping_leaves_nothing_running,
)
