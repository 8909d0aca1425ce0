"""The contract of loggers: who keeps it passes, and who doesn't is caught by the check for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import synthbench
from synthbench.testing import check_logger


class Good(synthbench.Logger):
    """Writes a file per label, with a name that leads nowhere."""

    def start(self, run: synthbench.LoggedRun) -> None:
        run.folder.mkdir(parents=True, exist_ok=True)
        self.folder = run.folder

    def scalars(self, task: synthbench.LoggedTask, step: int, values: Mapping[str, float]) -> None:
        (self.folder / task.key).write_text(str(step))

    def image(self, task: synthbench.LoggedTask, step: int, name: str, image: np.ndarray) -> None:
        (self.folder / f"{task.key}.png").write_bytes(image.tobytes())

    def finish(self, status: str) -> None:
        """Nothing is open."""


class Escaping(Good):
    def scalars(self, task: synthbench.LoggedTask, step: int, values: Mapping[str, float]) -> None:
        if task.label.isascii() and len(task.label) < 100:
            (self.folder / f"{task.label}x").write_text(str(step))


class OnlyOnce(Good):
    def start(self, run: synthbench.LoggedRun) -> None:
        run.folder.mkdir(parents=True)
        self.folder = run.folder


class Incomplete(synthbench.Logger):
    def start(self, run: synthbench.LoggedRun) -> None:
        """Does nothing."""


def failed(cls: type) -> set[str]:
    return {result.check for result in check_logger(cls) if result.status == "failed"}


def test_a_logger_that_keeps_the_contract_passes() -> None:
    assert failed(Good) == set()


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (Escaping, "labels_may_be_any_text"),
        (OnlyOnce, "a_resumed_run_is_taken"),
        (Incomplete, "methods_are_implemented"),
    ],
)
def test_who_breaks_it_is_caught(cls: type, check: str) -> None:
    assert check in failed(cls)
