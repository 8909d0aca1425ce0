"""How the status of a run is put into words, in a terminal and on the page."""

from __future__ import annotations

import time

from synthbench.monitor.reading import RunningTask, RunStatus
from synthbench.study.runtime_estimates import time_left_text

__all__ = ["STATES", "clock", "losses_text", "step_text", "summary"]

STATES = {
    "running": "running",
    "finished": "finished",
    "stopped": "stopped; the same command resumes it",
    "ended": "ended by an error",
    "died": "died without a word; the same command resumes it",
    "not running": "not running; the same command resumes it",
}
"""What each state of a run is called."""


def clock(seconds: float) -> str:
    """Return a moment as local time, with the day where that is another one."""
    moment, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M", moment)


def summary(status: RunStatus) -> str:
    """Return a run's state, where it runs and since when, and what is left, as one line."""
    parts = [STATES[status.state]]
    if status.error:
        parts.append(status.error)
    if status.state == "running" and status.pid:
        parts.append(f"on {status.host}, process {status.pid}")
    if status.began is not None:
        parts.append(f"since {clock(status.began)}")
    if status.state != "running" and status.updated is not None:
        parts.append(f"last sign of it at {clock(status.updated)}")
    if status.seconds_left is not None and any(count.left + count.running for count in status.kinds):
        parts.append(time_left_text(status.seconds_left, status.not_timed))
    return " · ".join(part for part in parts if part)


def step_text(task: RunningTask) -> str:
    """Return how far a task is, as in ``"fit 340/600"``."""
    count = f"{task.done}/{task.total}" if task.total else f"step {task.done}" if task.done else ""
    return f"{task.stage} {count}".strip()


def losses_text(task: RunningTask) -> str:
    """Return what a task says of its progress, or else the last losses of its log; empty where it has none."""
    if task.note:
        return task.note
    return ", ".join(f"{name} {value:.3g}" for name, value in task.losses.items())
