"""Progress of a run: bars with an estimate on a terminal, one line per finished task elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from synthbench.engine.base import Event, Outcome
from synthbench.engine.schedule import Elsewhere, Message, Missing
from synthbench.study.plan import Task
from synthbench.study.runtime_estimates import RuntimeEstimates, seconds_left, time_left_text

__all__ = ["ANNOUNCE_EVERY", "Display", "LONG"]

ANNOUNCE_EVERY = 20.0
LONG = ("fit", "draw", "predict", "encode")
"""Stages whose progress tells how far a task is: the others take no time beside them."""


class Display:
    """Listens to a run, keeps how each task ended, and shows how far it is.

    Parameters
    ----------
    tasks
        Those that will run.
    stored
        How many of the study's tasks the store had.
    estimates
    workers
        Tasks at a time, for the estimate.
    console
    """

    def __init__(
        self, tasks: Sequence[Task], stored: int, estimates: RuntimeEstimates, workers: int, console: Console
    ) -> None:
        self.ended: dict[str, dict[str, Any]] = {}
        self._tasks = {task.key: task for task in tasks}
        self._stored = stored
        self._estimates = estimates
        self._workers = workers
        self._console = console
        self._running: dict[str, tuple[float, float]] = {}
        self._bars: dict[str, TaskID] = {}
        self._announced = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("all tasks", total=max(1, len(tasks)), count="", note="")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the terminal may have hung up
            self._progress.stop()

    def __call__(self, message: Message) -> None:
        if isinstance(message, Event):
            self._advance(message)
        elif isinstance(message, Outcome):
            self._end(message)
        elif isinstance(message, Elsewhere):
            self._leave(message)
        else:
            self._miss(message)
        self._progress.update(
            self._all,
            completed=len(self._over),
            count=f"{len(self._over)}/{len(self._tasks)}",
            note=self._left(),
        )

    def _advance(self, event: Event) -> None:
        if not event.key:
            self._say(f"{event.stage}: {event.message}")
            return
        task = self._tasks[event.key]
        if event.message:
            self._say(f"{task.kind}: {task.label}: {event.message}", style="yellow")
            return
        began, share = self._running.get(event.key, (time.monotonic(), 0.0))
        if event.stage in LONG and event.total:
            share = event.done / event.total
        self._running[event.key] = (began, share)
        count = f"{event.done}/{event.total}" if event.total else ""
        text = f"{task.kind}: {task.label}"
        if event.key not in self._bars:
            self._bars[event.key] = self._progress.add_task(text[:64], total=None, count=count, note="")
        self._progress.update(
            self._bars[event.key],
            description=text if len(text) <= 64 else text[:63] + "…",
            total=event.total or None,
            completed=event.done,
            count=count,
            note=event.note or event.stage,
        )
        if not self._console.is_terminal and time.monotonic() - self._announced > ANNOUNCE_EVERY:
            self._say(f"{task.kind}: {task.label}: {event.stage} {count} {event.note}".rstrip())

    def _leave(self, elsewhere: Elsewhere) -> None:
        """Show who else computes a task."""
        task, holder = self._tasks[elsewhere.key], elsewhere.holder
        self._close(elsewhere.key)
        if holder is None:
            self._say(f"{task.kind}: {task.label}: the other process has stopped; it runs here")
            return
        where = f"on {holder.host}, process {holder.pid}"
        text = f"{task.kind}: {task.label}"
        self._bars[elsewhere.key] = self._progress.add_task(text[:64], total=None, count="", note=where)
        if not self._console.is_terminal:
            self._say(f"{text}: computed {where}")

    def _end(self, outcome: Outcome) -> None:
        task = self._tasks[outcome.key]
        self.ended[outcome.key] = {
            "status": outcome.status,
            "stage": outcome.stage,
            "error": outcome.error,
            "traceback": outcome.traceback,
            "seconds": round(outcome.seconds, 3),
            "peak_memory_mb": outcome.peak_memory_mb,
        }
        self._close(outcome.key)
        if outcome.ok:
            self._estimates.learn(task, outcome.seconds, outcome.peak_memory_mb)
            if not self._console.is_terminal:
                elsewhere = ", by another process" if outcome.status == "stored" else ""
                self._say(f"{task.kind}: {task.label}: {outcome.seconds:.1f} s{elsewhere}")
        else:
            self._say(f"{outcome.status} in {outcome.stage}: {task.kind}: {task.label}: {outcome.error}", style="red")

    def _miss(self, missing: Missing) -> None:
        cause = self._tasks[missing.because]
        error = f"not run, because this failed: {cause.kind}: {cause.label}"
        self.ended[missing.key] = {"status": "missing", "error": error}
        self._close(missing.key)

    def _close(self, key: str) -> None:
        self._running.pop(key, None)
        if key in self._bars:
            self._progress.remove_task(self._bars.pop(key))

    def _say(self, text: str, style: str = "") -> None:
        self._announced = time.monotonic()
        left = self._left()
        head = f"[{len(self._over)}/{len(self._tasks)}{', ' + left if left else ''}]"
        with contextlib.suppress(OSError):  # the terminal may have hung up; its signal stops the run
            self._console.print(f"{head} {text}", style=style, markup=False, highlight=False, soft_wrap=True)

    @property
    def _over(self) -> set[str]:
        """The tasks that needn't be run any more: not those that were stopped."""
        return {key for key, row in self.ended.items() if row["status"] != "stopped"}

    def _left(self) -> str:
        """Return the remaining time, as far as similar tasks and the progress of the running ones allow an estimate."""
        now, over = time.monotonic(), self._over
        if len(over) == len(self._tasks):
            return ""
        left = [(task, *self._running.get(key, (now, 0.0))) for key, task in self._tasks.items() if key not in over]
        parts = ((self._estimates.seconds(task), now - began, done) for task, began, done in left)
        return time_left_text(*seconds_left(parts, self._workers))
