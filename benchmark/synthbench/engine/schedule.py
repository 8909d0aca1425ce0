"""Which task runs next: each when what it needs is stored; a failure holds up nothing but what depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthbench.engine.base import Engine, Event, Outcome
from synthbench.processes.signals import Interrupted, signal_number
from synthbench.study.plan import Task

__all__ = ["GRACE", "Message", "Missing", "TICK", "run_tasks"]

GRACE = 4.0
TICK = 0.5


@dataclass(frozen=True)
class Missing:
    """A task that couldn't run because one that it needs failed."""

    key: str
    because: str


Message = Event | Outcome | Missing


def run_tasks(tasks: Sequence[Task], engine: Engine, listen: Callable[[Message], None]) -> None:
    """Run tasks, listed in an order in which they can run, and tell `listen` of everything.

    Raises
    ------
    Interrupted
        On a signal to stop, when the running tasks have stopped; what is finished is stored.
    """
    waiting = {task.key: task for task in tasks}
    open_needs = {task.key: {need for need in task.needs if need in waiting} for task in tasks}
    wanted_by: dict[str, list[str]] = {}
    for key, needs in open_needs.items():
        for need in needs:
            wanted_by.setdefault(need, []).append(key)
    last_first = tasks[::-1]
    ready = [task.key for task in sorted(last_first, key=_generator_work) if not open_needs[task.key]]
    running: set[str] = set()

    def settle(outcome: Outcome) -> None:
        running.discard(outcome.key)
        listen(outcome)
        if not outcome.ok:
            give_up(outcome.key, outcome.key)
            return
        for key in reversed(wanted_by.get(outcome.key, ())):
            open_needs[key].discard(outcome.key)
            if not open_needs[key] and key in waiting:
                ready.append(key)

    def give_up(key: str, because: str) -> None:
        for dependent in wanted_by.get(key, ()):
            if waiting.pop(dependent, None) is not None:
                listen(Missing(dependent, because))
                give_up(dependent, because)

    try:
        while ready or running:
            while ready and engine.free():
                task = waiting.pop(ready.pop())
                running.add(task.key)
                engine.start(task)
            for message in engine.wait(TICK):
                if isinstance(message, Outcome):
                    settle(message)
                else:
                    listen(message)
    except KeyboardInterrupt as interrupt:
        for message in engine.close(GRACE):
            with contextlib.suppress(OSError):  # the terminal may have hung up
                listen(message)
        raise Interrupted(signal_number(interrupt)) from None
    finally:
        engine.close()


def _generator_work(task: Task) -> tuple[int, int]:
    """Order tasks from last to first: generators that train long begin at once, as whole arms wait for them."""
    if task.kind != "fit-generator":
        return (0, 0)
    budget = task.content["plugin"]["budget"]
    return (1, budget["steps"] * budget["batch_size"] * budget["patch_size"] ** 2)
