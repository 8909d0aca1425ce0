"""Which task runs next: each when what it needs is stored; a failure holds up nothing but what depends on it.

An engine may take tasks while what they need is running: it gets such a task when no other is ready.

Other processes may work on the same store. A task that one of them is computing is left to it, and looked for again
from time to time: it is stored then, or free to be computed here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from synthbench.engine.base import Engine, Event, Outcome
from synthbench.processes.signals import Interrupted, signal_number
from synthbench.store import Holder, Store
from synthbench.study.plan import Task

__all__ = ["GRACE", "LOOK_EVERY", "Elsewhere", "Message", "Missing", "TICK", "run_tasks"]

GRACE = 4.0
TICK = 0.5
LOOK_EVERY = 0.5
"""Seconds between two looks at what other processes are computing."""


@dataclass(frozen=True)
class Missing:
    """A task that couldn't run because one that it needs failed."""

    key: str
    because: str


@dataclass(frozen=True)
class Elsewhere:
    """A task that another process is computing; None when it has stopped, and the task will run here."""

    key: str
    holder: Holder | None


Message = Event | Outcome | Missing | Elsewhere


def run_tasks(
    tasks: Sequence[Task],
    engine: Engine[Any],
    store: Store,
    listen: Callable[[Message], None],
    until: float | None = None,
) -> bool:
    """Run tasks, listed in an order in which they can run, and tell `listen` of everything.

    Parameters
    ----------
    tasks, engine, store, listen
    until
        When to stop, by the clock of `time.monotonic`: running tasks are then stopped as by a signal, and leave
        checkpoints. None: when all are over.

    Returns
    -------
    bool
        Whether all are over; False if the time was up before.

    Raises
    ------
    Interrupted
        On a signal to stop, when the running tasks have stopped; what is finished is stored.
    """
    schedule = _Schedule(tasks, store, listen, engine.takes_early)
    try:
        while schedule.is_open():
            if until is not None and time.monotonic() >= until:
                _stop(engine, listen)
                return False
            while engine.free() and (task := schedule.next()) is not None:
                engine.start(task)
            began = time.monotonic()
            for message in engine.wait(TICK):
                schedule.hear(message)
            schedule.look_elsewhere()
            if not schedule.running:
                time.sleep(max(0.0, min(schedule.until_look(), TICK) - (time.monotonic() - began)))
        return True
    except KeyboardInterrupt as interrupt:
        _stop(engine, listen)
        raise Interrupted(signal_number(interrupt)) from None
    finally:
        engine.close()


def _stop(engine: Engine[Any], listen: Callable[[Message], None]) -> None:
    for message in engine.close(GRACE):
        with contextlib.suppress(OSError):  # the terminal may have hung up
            if not isinstance(message, Outcome) or not message.is_open:
                listen(message)


class _Schedule:
    """The tasks that aren't finished: waiting for others, ready, running here, or computed by another process."""

    def __init__(
        self, tasks: Sequence[Task], store: Store, listen: Callable[[Message], None], takes_early: bool
    ) -> None:
        self._store, self._listen, self._takes_early = store, listen, takes_early
        self._tasks = {task.key: task for task in tasks}
        self._waiting = dict(self._tasks)
        self._open_needs = {task.key: {need for need in task.needs if need in self._tasks} for task in tasks}
        self._wanted_by: dict[str, list[str]] = {}
        for key, needs in self._open_needs.items():
            for need in needs:
                self._wanted_by.setdefault(need, []).append(key)
        last_first = tasks[::-1]
        self._ready = [task.key for task in sorted(last_first, key=_generator_work) if not self._open_needs[task.key]]
        self._early: list[str] = []
        self._failed_needs: dict[str, str] = {}
        self.running: set[str] = set()
        self._elsewhere: dict[str, Holder] = {}
        self._next_look = 0.0

    def is_open(self) -> bool:
        return bool(self._ready or self.running or self._elsewhere)

    def next(self) -> Task | None:
        """Return a task to start, or None if there is none now."""
        while (key := self._pop()) is not None:
            task = self._tasks[key]
            if (holder := self._store.holder(task.kind, key)) is not None:
                self._leave(key, holder)
                continue
            del self._waiting[key]
            self.running.add(key)
            if self._takes_early:
                self._early.extend(reversed(self._wanted_by.get(key, ())))
            return task
        return None

    def _pop(self) -> str | None:
        """Return a task that is ready, or else one that an engine may take early."""
        while self._ready:
            key = self._ready.pop()
            if key in self._waiting and key not in self._elsewhere:
                return key
        while self._early:
            key = self._early.pop()
            if key in self._waiting and key not in self._elsewhere and self._open_needs[key] <= self.running:
                return key
        return None

    def hear(self, message: Event | Outcome) -> None:
        if not isinstance(message, Outcome):
            self._listen(message)
            return
        self.running.discard(message.key)
        if not message.is_open:
            self._settle(message)
            return
        task = self._waiting[message.key] = self._tasks[message.key]
        if (because := self._failed_needs.pop(task.key, None)) is not None:
            self._miss(task.key, because)
            return
        if message.status == "early":
            if not self._open_needs[task.key]:
                self._ready.append(task.key)
            return
        holder = self._store.holder(task.kind, task.key)
        if holder is None:
            self._ready.insert(0, task.key)
        else:
            self._leave(task.key, holder)

    def look_elsewhere(self) -> None:
        """See what has become of the tasks that other processes compute."""
        if not self._elsewhere or self.until_look() > 0:
            return
        self._next_look = time.monotonic() + LOOK_EVERY
        for key in list(self._elsewhere):
            task = self._tasks[key]
            holder = self._store.holder(task.kind, key)
            if holder is not None:
                if holder != self._elsewhere[key]:
                    self._leave(key, holder)
                continue
            del self._elsewhere[key]
            found = self._store.find(task.kind, key)
            if found is not None:
                del self._waiting[key]
                self._settle(Outcome(key, "stored", seconds=found.seconds))
            else:
                if not self._open_needs[key]:
                    self._ready.append(key)
                self._listen(Elsewhere(key, None))

    def until_look(self) -> float:
        return self._next_look - time.monotonic()

    def _leave(self, key: str, holder: Holder) -> None:
        if not self._elsewhere:
            self._next_look = time.monotonic() + LOOK_EVERY
        self._elsewhere[key] = holder
        self._listen(Elsewhere(key, holder))

    def _settle(self, outcome: Outcome) -> None:
        self._listen(outcome)
        if not outcome.ok:
            self._give_up(outcome.key, outcome.key)
            return
        for key in reversed(self._wanted_by.get(outcome.key, ())):
            self._open_needs[key].discard(outcome.key)
            if not self._open_needs[key] and key in self._waiting:
                self._ready.append(key)

    def _give_up(self, key: str, because: str) -> None:
        for dependent in self._wanted_by.get(key, ()):
            if dependent in self.running:
                self._failed_needs[dependent] = because
            elif dependent in self._waiting:
                self._miss(dependent, because)

    def _miss(self, key: str, because: str) -> None:
        del self._waiting[key]
        self._elsewhere.pop(key, None)
        self._listen(Missing(key, because))
        self._give_up(key, because)


def _generator_work(task: Task) -> tuple[int, int]:
    """Order tasks from last to first: generators that train long begin at once, as whole arms wait for them."""
    if task.kind != "fit-generator":
        return (0, 0)
    budget = task.content["plugin"]["budget"]
    return (1, budget["steps"] * budget["batch_size"] * budget["patch_size"] ** 2)
