"""The scheduler with an engine that takes tasks while what they need is running."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from synthbench.engine.base import Engine, Options, Outcome
from synthbench.engine.schedule import Elsewhere, Missing, run_tasks
from synthbench.plugin.api import Config
from synthbench.store import Store, key_of
from synthbench.study.plan import Task


class Eager(Engine[Config]):
    """Takes everything at once, and ends it in order, or in the opposite one; what isn't ready comes back as early."""

    takes_early = True

    def __init__(self, store: Store, failing: Iterable[str] = (), busy: Iterable[str] = (), backwards: bool = False):
        super().__init__(Options("store", workers=8), Config())
        self.store, self.failing, self.busy, self.backwards = store, set(failing), set(busy), backwards
        self.order: list[str] = []
        self.done: set[str] = set()
        self._taken: list[Task] = []

    def free(self) -> int:
        return self.slots - len(self._taken)

    def start(self, task: Task) -> None:
        self.order.append(task.label)
        self._taken.append(task)

    def wait(self, seconds: float) -> list:
        return [self._end(self._taken.pop(-1 if self.backwards else 0))] if self._taken else []

    def _end(self, task: Task) -> Outcome:
        if not set(task.needs) <= self.done:
            return Outcome(task.key, "early")
        if task.label in self.busy:
            self.busy.remove(task.label)
            return Outcome(task.key, "busy")
        if task.label in self.failing:
            return Outcome(task.key, "failed")
        self.done.add(task.key)
        return Outcome(task.key, "done")

    def close(self, grace: float = 0.0) -> list:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def task(label: str, *needs: str) -> Task:
    return Task("draw", key_of(label), {}, tuple(map(key_of, needs)), {}, label)


CHAIN = [task("a"), task("b", "a"), task("c", "b"), task("d", "a", "c"), task("e")]


def heard_of(engine: Eager, store: Store) -> dict[str, str]:
    """What became of each task: its last word, of one at most."""
    heard: list = []
    run_tasks(CHAIN, engine, store, heard.append)
    ends = [message for message in heard if isinstance(message, Outcome | Missing)]
    assert len({message.key for message in ends}) == len(ends)
    names = {task.key: task.label for task in CHAIN}
    return {names[m.key]: m.status if isinstance(m, Outcome) else f"because {names[m.because]}" for m in ends}


def test_all_are_taken_before_any_has_ended(store: Store) -> None:
    engine = Eager(store)
    assert heard_of(engine, store) == dict.fromkeys("abcde", "done")
    assert sorted(engine.order) == ["a", "b", "c", "d", "e"], "each once"


@pytest.mark.parametrize("backwards", [False, True])
def test_what_needs_a_task_that_fails_is_missing_in_whatever_order_they_end(store: Store, backwards: bool) -> None:
    ends = heard_of(Eager(store, failing=["b"], backwards=backwards), store)
    assert ends == {"a": "done", "b": "failed", "c": "because b", "d": "because b", "e": "done"}


@pytest.mark.parametrize("backwards", [False, True])
def test_what_needs_a_busy_task_waits_for_it(store: Store, backwards: bool) -> None:
    assert heard_of(Eager(store, busy=["a", "c"], backwards=backwards), store) == dict.fromkeys("abcde", "done")


def test_what_another_process_computes_is_not_taken_early(store: Store) -> None:
    claim = store.claim("draw", key_of("b"))
    assert claim is not None
    heard: list = []

    def listen(message: object) -> None:
        heard.append(message)
        if isinstance(message, Outcome) and message.key == key_of("a"):
            claim.release()

    engine = Eager(store)
    run_tasks(CHAIN, engine, store, listen)
    assert Elsewhere(key_of("b"), None) in heard
    assert engine.order.count("b") == 1
    assert engine.done == {task.key for task in CHAIN}
