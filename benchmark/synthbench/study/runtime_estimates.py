"""What tasks cost, learned from those already done: for `synthbench plan` and the time that is left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from synthbench.store import Store, canonical
from synthbench.study.plan import Task

__all__ = ["RuntimeEstimates", "format_duration"]


class RuntimeEstimates:
    """Seconds per kind of task, plugin and budget: the median of what is known.

    Parameters
    ----------
    store
        Its records are the first knowledge; `learn` adds to it.
    kinds
        The kinds of task to read records of.
    """

    def __init__(self, store: Store, kinds: Iterable[str]) -> None:
        self._known: dict[str, list[float]] = defaultdict(list)
        for kind in sorted(set(kinds)):
            for record in store.records(kind):
                name = _class_of(kind, str(record.get("plugin", "")), record.get("content", {}))
                self._known[name].append(float(record.get("seconds", 0.0)))

    def learn(self, task: Task, seconds: float) -> None:
        """Add the measured seconds of a task."""
        self._known[_class_of(task.kind, task.plugin, task.content)].append(seconds)

    def seconds(self, task: Task) -> float | None:
        """Return the expected seconds of a task; None where nothing like it was ever run."""
        known = self._known.get(_class_of(task.kind, task.plugin, task.content))
        return median(known) if known else None

    def total(self, tasks: Iterable[Task]) -> tuple[float, int]:
        """Return the expected seconds of the tasks that can be estimated, and how many can't."""
        costs = [self.seconds(task) for task in tasks]
        return sum(cost for cost in costs if cost is not None), sum(cost is None for cost in costs)


def _class_of(kind: str, plugin: str, content: Mapping[str, Any]) -> str:
    choice = content.get("plugin")
    budget = choice.get("budget") if isinstance(choice, Mapping) else None
    return canonical([kind, plugin, budget, content.get("count")])


def format_duration(seconds: float) -> str:
    """Return a duration as people say it: ``"40 s"``, ``"3 min"``, ``"1 h 20 min"``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
