"""What tasks cost, learned from those already done: for `synthbench plan`, the time that is left, and engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from synthbench.store import Store, canonical
from synthbench.study.plan import Task

__all__ = ["RuntimeEstimates", "format_duration", "seconds_left", "time_left_text"]


class RuntimeEstimates:
    """Seconds and memory per kind of task, plugin and budget: the median and the maximum of what is known.

    Parameters
    ----------
    store
        Its records are the first knowledge; `learn` adds to it.
    kinds
        The kinds of task to read records of.
    """

    def __init__(self, store: Store, kinds: Iterable[str]) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._memory: dict[str, float] = {}
        for kind in sorted(set(kinds)):
            for record in store.records(kind):
                plugin, content = str(record.get("plugin", "")), record.get("content", {})
                seconds, memory = (float(record.get(name) or 0.0) for name in ("seconds", "peak_memory_mb"))
                self._add(kind, plugin, content, seconds, memory)

    def learn(self, task: Task, seconds: float, peak_memory_mb: float = 0.0) -> None:
        """Add the measured seconds of a task, and its peak memory in MiB; 0 if that is unknown."""
        self._add(task.kind, task.plugin, task.content, seconds, peak_memory_mb)

    def _add(self, kind: str, plugin: str, content: Mapping[str, Any], seconds: float, memory: float) -> None:
        name = _class_of(kind, plugin, content)
        self._seconds[name].append(seconds)
        for known in (name, _plugin_class(kind, plugin)):
            self._memory[known] = max(memory, self._memory.get(known, 0.0))

    def seconds(self, task: Task) -> float | None:
        """Return the expected seconds of a task; None where nothing like it was ever run."""
        known = self._seconds.get(_class_of(task.kind, task.plugin, task.content))
        return median(known) if known else None

    def peak_memory_mb(self, task: Task) -> float | None:
        """Return the peak memory in MiB that a task is expected to have: the highest of those like it.

        Where none of its budget is known, those of other budgets count; None where there are none either.
        """
        names = _class_of(task.kind, task.plugin, task.content), _plugin_class(task.kind, task.plugin)
        return next((known for name in names if (known := self._memory.get(name))), None)

    def total(self, tasks: Iterable[Task]) -> tuple[float, int]:
        """Return the expected seconds of the tasks that can be estimated, and how many can't."""
        costs = [self.seconds(task) for task in tasks]
        return sum(cost for cost in costs if cost is not None), sum(cost is None for cost in costs)


def _class_of(kind: str, plugin: str, content: Mapping[str, Any]) -> str:
    choice = content.get("plugin")
    budget = choice.get("budget") if isinstance(choice, Mapping) else None
    return canonical([kind, plugin, budget, content.get("count")])


def _plugin_class(kind: str, plugin: str) -> str:
    return canonical([kind, plugin])


def format_duration(seconds: float) -> str:
    """Return a duration as people say it: ``"40 s"``, ``"3 min"``, ``"1 h 20 min"``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def seconds_left(open_tasks: Iterable[tuple[float | None, float, float]], workers: int) -> tuple[float, int]:
    """Return how long tasks will still take, as far as that can be estimated, and for how many it can't.

    Parameters
    ----------
    open_tasks
        For each task that isn't over: the seconds that it is expected to take or None, the seconds since it began or
        0, and the fraction of it that is done, 0 … 1.
    workers
        Tasks at a time.

    Returns
    -------
    seconds : float
        With all workers at it.
    unknown : int
        Tasks that can't be estimated.
    """
    known, unknown = 0.0, 0
    for expected, running, done in open_tasks:
        if done > 0.05:
            known += running * (1 - done) / done
        elif expected is not None:
            known += max(0.0, expected - running)
        else:
            unknown += 1
    return known / max(1, workers), unknown


def time_left_text(seconds: float, unknown: int) -> str:
    """Return what `seconds_left` found, as in ``"about 3 min left"``; empty where that is next to nothing."""
    if seconds < 1 and unknown:
        return ""
    return f"{'over' if unknown else 'about'} {format_duration(seconds)} left"
