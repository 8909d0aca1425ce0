"""Event files of TensorBoard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.loggers.base import LoggedRun, LoggedTask, Logger
from synthbench.plugin.api import Config

__all__ = ["TensorBoard"]

_OPEN = 32
"""Writers that are open at a time; each has a file and a thread."""


class TensorBoard(Logger[Config]):
    """Writes event files: for each task a folder of its own, which TensorBoard shows as a run.

    Names have no @ there: the score ``f1@0.50`` is ``f1/0.50``.
    """

    def start(self, run: LoggedRun) -> None:
        self._folder = run.folder
        self._writers: dict[str, Any] = {}

    def scalars(self, task: LoggedTask, step: int, values: Mapping[str, float]) -> None:
        writer = self._writer(task)
        for name, value in values.items():
            writer.add_scalar(name.replace("@", "/"), value, step)

    def image(self, task: LoggedTask, step: int, name: str, image: NDArray[np.uint8]) -> None:
        self._writer(task).add_image(name, image, step, dataformats="HWC")

    def finish(self, status: str) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, task: LoggedTask) -> Any:
        if (writer := self._writers.pop(task.key, None)) is None:
            if len(self._writers) >= _OPEN:
                self._writers.pop(next(iter(self._writers))).close()
            # Not torch's writer: it needs the package tensorboard. Where that is installed beside TensorFlow, MONAI
            # loads both in every process that trains.
            from tensorboardX import SummaryWriter

            writer = SummaryWriter(logdir=str(folder_of(self._folder, task)), flush_secs=10)
        self._writers[task.key] = writer
        return writer


def folder_of(folder: Path, task: LoggedTask) -> Path:
    """Return the folder of a task's event files: its label, as far as that can be the name of a folder, and its key."""
    words = re.sub(r"[^\w.+=-]+", "-", task.label, flags=re.ASCII).strip("-.")[:80]
    return folder / task.kind / f"{words}-{task.key[:8]}"
