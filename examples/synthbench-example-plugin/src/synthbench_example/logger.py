"""A logger that writes one CSV file."""

import csv
from collections.abc import Mapping

import numpy as np

import synthbench


class Lines(synthbench.Logger):
    """Writes ``losses.csv`` into its folder: a row per training, step and loss."""

    class Config(synthbench.Config):
        """What is written."""

        digits: int = 6

    def start(self, run: synthbench.LoggedRun) -> None:
        run.folder.mkdir(parents=True, exist_ok=True)
        self._file = (run.folder / "losses.csv").open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)

    def scalars(self, task: synthbench.LoggedTask, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.writerow([task.kind, task.label, step, name, round(value, self.config.digits)])
        self._file.flush()

    def image(self, task: synthbench.LoggedTask, step: int, name: str, image: np.ndarray) -> None:
        """A table has no room for pictures."""

    def finish(self, status: str) -> None:
        self._file.close()
