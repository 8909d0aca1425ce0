"""What an engine and a worker say to each other; docs/environments.md describes it.

To a worker go ``task`` and ``stop``. From it come ``hello``, once, and ``event`` and ``outcome``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from synthbench.engine.base import Event, Options, Outcome
from synthbench.study.plan import Task

__all__ = ["STOP", "read_answer", "read_task", "task_message", "tell"]

STOP: Mapping[str, Any] = {"type": "stop"}
"""Asks for the running task to stop, and leave a checkpoint."""


def task_message(task: Task, options: Options) -> dict[str, Any]:
    """Return the message that starts a task."""
    return {"type": "task", "task": asdict(task), "options": options.for_worker()}


def read_task(message: Mapping[str, Any]) -> tuple[Task, Options]:
    """Return the task of a message, and how it is run."""
    task = dict(message["task"])
    return Task(**{**task, "needs": tuple(task["needs"])}), Options(**message["options"])


def tell(answer: Event | Outcome) -> dict[str, Any]:
    """Return an event or an outcome as a message."""
    return {"type": "event" if isinstance(answer, Event) else "outcome", **asdict(answer)}


def read_answer(message: Mapping[str, Any]) -> Event | Outcome | None:
    """Return the event or outcome of a message; None if it is neither."""
    content = {name: value for name, value in message.items() if name != "type"}
    try:
        if message["type"] == "event":
            return Event(**content)
        return Outcome(**content) if message["type"] == "outcome" else None
    except TypeError:
        return None
