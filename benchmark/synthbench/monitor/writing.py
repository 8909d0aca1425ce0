"""What a run writes into its folder while it runs, so that others can see how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from synthbench.engine.base import Event, Outcome
from synthbench.engine.schedule import Elsewhere, Message, Missing
from synthbench.errors import SynthbenchError
from synthbench.io.atomic import atomic_write
from synthbench.monitor._files import CLAIM_KIND, NOW, PAGE, TASKS, write_file
from synthbench.monitor._page import status_page
from synthbench.monitor.reading import read_status
from synthbench.results import run_head
from synthbench.store import Claim, Store, key_of
from synthbench.study.plan import Plan, Task
from synthbench.study.runtime_estimates import RuntimeEstimates

__all__ = ["PAGE_EVERY", "WRITE_EVERY", "RunMonitor"]

WRITE_EVERY = 2.0
"""Seconds between two writings of what is running, at least."""

PAGE_EVERY = 15.0
"""Seconds between two writings of the page, at least; and never more than a tenth of the time goes into it."""


class RunMonitor:
    """Listens to a run and keeps its progress in the run folder. A context manager: it notes how the run ended.

    Of several runs that share a folder, one writes, and another goes on when that ends. What can't be written is left
    out: a full disk must not end a training.

    Parameters
    ----------
    folder
        The run folder.
    name
        Of the study.
    store
    iou
        The threshold that first scores are shown at; see `synthbench.leaderboard.table`.
    """

    def __init__(self, folder: Path, name: str, store: Store, iou: float | str) -> None:
        self._folder, self._name, self._store, self._iou = folder, name, store, iou
        self._key = key_of(str(folder.resolve()))
        self._claim: Claim | None = None
        self._began = time.time()
        self._plan: Plan | None = None
        self._head: dict[str, Any] = {}
        self._tasks: dict[str, Task] = {}
        self._running: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, dict[str, Any]] = {}
        self._left_out: set[str] = set()
        self._wrote = self._wrote_page = float("-inf")
        self._page_pause = PAGE_EVERY
        self._tasks_written = False

    def __enter__(self) -> RunMonitor:
        self._claim = self._store.claim(CLAIM_KIND, self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state = "finished" if error is None else "stopped" if isinstance(error, KeyboardInterrupt) else "ended"
        self._running.clear()
        line = " ".join(str(error).split()) if isinstance(error, SynthbenchError) else type(error).__name__
        self._write(state, line if state == "ended" else "", last=True)
        if self._claim is not None:
            self._claim.release()

    def begin(
        self, plan: Plan, missing: Sequence[Task], estimates: RuntimeEstimates | None = None, workers: int = 1
    ) -> None:
        """Take note of what runs next.

        Parameters
        ----------
        plan
        missing
            The tasks of it that will run.
        estimates
            What they are expected to take; None where nothing runs.
        workers
            Tasks at a time.
        """
        runs = {task.key for task in missing}
        self._plan, self._tasks = plan, dict(plan.tasks)
        self._running.clear()
        self._head = {
            "name": self._name,
            "store": str(self._store.root),
            "claim": self._key,
            "began": self._began,
            "workers": workers,
            "iou": self._iou,
            "tasks": [
                {
                    "key": key,
                    "kind": task.kind,
                    "label": task.label,
                    "runs": key in runs,
                    "seconds": estimates.seconds(task) if estimates else None,
                }
                for key, task in plan.tasks.items()
            ],
            "trainings": [{**run_head(plan, run), "evaluate": run.evaluate} for run in plan.training_runs],
        }
        self._tasks_written = False
        self._write("running")

    def __call__(self, message: Message) -> None:
        """Hear a message of the run."""
        if isinstance(message, Event):
            self._advance(message)
        elif isinstance(message, Outcome):
            self._end(message.key, message.status, message.stage, message.error, ok=message.ok)
        elif isinstance(message, Missing):
            self._left_out.add(message.key)
            self._running.pop(message.key, None)
        elif isinstance(message, Elsewhere):
            self._running.pop(message.key, None)
        if time.monotonic() - self._wrote >= WRITE_EVERY:
            self._write("running")

    def _advance(self, event: Event) -> None:
        if not event.key or event.message:
            return
        row = self._running.setdefault(event.key, {"since": time.time()})
        row.update(stage=event.stage, done=event.done, total=event.total, note=event.note)

    def _end(self, key: str, status: str, stage: str, error: str, *, ok: bool) -> None:
        self._running.pop(key, None)
        self._failed.pop(key, None)
        if not ok and key in self._tasks:
            task = self._tasks[key]
            self._failed[key] = {
                "kind": task.kind,
                "label": task.label,
                "status": status,
                "stage": stage,
                "error": error,
            }

    def _write(self, state: str, error: str = "", *, last: bool = False) -> None:
        if self._claim is None:
            self._claim = self._store.claim(CLAIM_KIND, self._key)
        if self._claim is None or self._claim.lost or not self._head or not self._folder.is_dir():
            return
        now: Mapping[str, Any] = {
            "state": state,
            "error": error,
            "updated": time.time(),
            "running": self._running,
            "failed": self._failed,
            "left_out": sorted(self._left_out),
        }
        with contextlib.suppress(SynthbenchError, OSError):
            if not self._tasks_written:
                write_file(self._folder, TASKS, self._head)
                self._tasks_written = True
            write_file(self._folder, NOW, now)
        self._wrote = time.monotonic()
        if last or self._wrote - self._wrote_page >= self._page_pause:
            with contextlib.suppress(SynthbenchError, OSError):
                atomic_write(self._folder / PAGE, status_page(read_status(self._folder)))
            self._wrote_page = time.monotonic()
            self._page_pause = max(PAGE_EVERY, 10 * (self._wrote_page - self._wrote))
