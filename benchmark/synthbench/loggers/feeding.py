"""What a run gives to loggers: it reads what trainings record anyway, so neither results nor keys depend on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from synthbench.engine.base import Event, Outcome
from synthbench.engine.schedule import Message
from synthbench.errors import SynthbenchError
from synthbench.loggers._training_logs import TrainingLogReader
from synthbench.loggers.base import LoggedRun, LoggedTask, Logger
from synthbench.monitor.first_scores import training_score
from synthbench.plugin.api import LOG
from synthbench.samples import SampleSet
from synthbench.samples.contact_sheets import contact_sheet
from synthbench.store import Store
from synthbench.study.plan import Plan, Task

__all__ = ["EVERY", "SAMPLES", "LoggerFeed"]

EVERY = 5.0
"""Seconds between two readings of a training's log, at least."""

SAMPLES = 6
"""Samples in the picture of a synthetic set."""

_TRAININGS = ("fit-generator", "fit-segmenter")


class LoggerFeed:
    """Listens to a run, and feeds loggers. A context manager: it ends them. What the store had isn't logged again.

    A logger that raises an exception is left out from then on.

    Parameters
    ----------
    loggers
        By name.
    name
        Of the study.
    folder
        The run folder; each logger gets a folder in it.
    store
    iou
        The threshold of scores.
    say
        Takes a line for people about a logger that has failed.
    """

    def __init__(
        self,
        loggers: Sequence[tuple[str, Logger[Any]]],
        name: str,
        folder: Path,
        store: Store,
        iou: float | str,
        say: Callable[[str], None],
    ) -> None:
        self._waiting = list(loggers)
        self._loggers: list[tuple[str, Logger[Any]]] = []
        self._name, self._folder, self._store, self._iou, self._say = name, folder, store, iou, say
        self._tasks: dict[str, Task] = {}
        self._readers: dict[str, TrainingLogReader] = {}
        self._read: dict[str, float] = {}

    def __enter__(self) -> LoggerFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "finished" if error is None else "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        self._tell("finish", status)

    def begin(self, plan: Plan) -> None:
        """Take note of the tasks that run next; the loggers are started first, if they aren't yet."""
        self._tasks = dict(plan.tasks)
        waiting, self._waiting = self._waiting, []
        for name, logger in waiting:
            self._loggers.append((name, logger))
            self._call(name, logger, "start", LoggedRun(self._name, self._folder / "logs" / name))

    def __call__(self, message: Message) -> None:
        """Hear a message of the run."""
        if not self._loggers or message.key not in self._tasks:
            return
        task = self._tasks[message.key]
        if isinstance(message, Event) and task.kind in _TRAININGS:
            if time.monotonic() - self._read.get(task.key, float("-inf")) >= EVERY:
                self._log_training(task, self._store.root / ".work" / f"{task.kind}-{task.key}" / LOG)
                self._read[task.key] = time.monotonic()
        elif isinstance(message, Outcome) and message.ok:
            artifact = self._store.folder(task.kind, task.key)
            if task.kind in _TRAININGS:
                self._log_training(task, artifact / LOG)
                self._readers.pop(task.key, None)
            elif task.kind == "draw":
                self._log_samples(task, artifact / "samples")
            elif task.kind == "evaluate" and (score := training_score(self._store, task.key, self._iou)):
                self._tell("scalars", _logged(task), 0, dict([score]))

    def _log_training(self, task: Task, folder: Path) -> None:
        reader = self._readers.setdefault(task.key, TrainingLogReader())
        for step, values in reader.losses(folder):
            self._tell("scalars", _logged(task), step, values)
        for step, name, pixels in reader.pictures(folder):
            self._tell("image", _logged(task), step, name, pixels)

    def _log_samples(self, task: Task, folder: Path) -> None:
        try:
            drawn = SampleSet.open(folder)
            shown = [drawn[i] for i in range(min(SAMPLES, len(drawn)))]
            sheet = np.asarray(contact_sheet({task.label: shown}, task=drawn.task, tile=160, columns=3), np.uint8)
        except (SynthbenchError, OSError):
            return  # the run itself says what is wrong with them
        self._tell("image", _logged(task), 0, "samples", sheet)

    def _tell(self, method: str, *given: object) -> None:
        for name, logger in list(self._loggers):
            self._call(name, logger, method, *given)

    def _call(self, name: str, logger: Logger[Any], method: str, *given: object) -> None:
        """Call a method of a logger; if it fails, the logger is left out from then on."""
        try:
            getattr(logger, method)(*given)
        except Exception as error:  # what strangers write may raise anything
            self._loggers.remove((name, logger))
            text = " ".join(str(error).split())[:300]
            self._say(f"--log {name}: {type(error).__name__}: {text}; nothing more is logged with it")


def _logged(task: Task) -> LoggedTask:
    return LoggedTask(task.key, task.kind, task.label, task.plugin)
