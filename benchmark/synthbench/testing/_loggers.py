"""The contract of loggers, check by check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.loggers.base import LoggedRun, LoggedTask, Logger
from synthbench.testing._shared_checks import check_config_class, methods_are_implemented
from synthbench.testing.check_results import CheckResult, plugin_call, require, run_checks_in_folder

__all__ = ["check_logger", "iter_logger_checks"]


def check_logger(cls: type[Logger[Any]], *, config: Mapping[str, Any] | None = None) -> list[CheckResult]:
    """Try a logger's class against the contract.

    Parameters
    ----------
    cls
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of CheckResult
        One per check, in order.
    """
    return list(iter_logger_checks(cls, config))


def iter_logger_checks(cls: type[Logger[Any]], config: Mapping[str, Any] | None) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_logger` as they come."""
    return run_checks_in_folder(CHECKS, lambda folder: _LoggerHarness(cls, folder, dict(config or {})))


class _LoggerHarness:
    """Loggers that write into folders beside one another."""

    def __init__(self, cls: type[Logger[Any]], folder: Path, keys: dict[str, Any]) -> None:
        self.cls, self.folder, self.keys = cls, folder, keys

    def made(self) -> Logger[Any]:
        with plugin_call(f"{self.cls.__name__}(config)"):
            return self.cls(self.cls.Config(**self.keys))

    def started(self, name: str) -> Logger[Any]:
        logger = self.made()
        with plugin_call("start"):
            logger.start(LoggedRun("check", self.folder / name))
        return logger

    def files(self) -> set[Path]:
        return {path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()}


def _task(number: int, label: str = "unet on real") -> LoggedTask:
    return LoggedTask(f"{number:064x}", "fit-segmenter", label, "unet")


def _train(logger: Logger[Any], task: LoggedTask, first: int = 0) -> None:
    with plugin_call("scalars"):
        for step in range(first, first + 5):
            logger.scalars(task, step, {"training/loss": 1 / (1 + step), "training/dice": 0.5})


# -- the checks -------------------------------------------------------------------------------------------------------


def configuration_is_declared(harness: _LoggerHarness) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config_class(harness.cls, harness.keys)


def nothing_is_written_before_the_start(harness: _LoggerHarness) -> None:
    """An object that isn't started writes nothing."""
    harness.made()
    require(not harness.files(), f"creating it writes {', '.join(map(str, harness.files()))}")


def a_training_is_taken(harness: _LoggerHarness) -> None:
    """start, scalars, image and finish take a training with losses and a picture."""
    logger = harness.started("training")
    _train(logger, _task(1))
    with plugin_call("image"):
        logger.image(_task(1), 4, "training", np.zeros((16, 24, 3), np.uint8))
    with plugin_call("finish"):
        logger.finish("finished")


def several_trainings_are_taken_at_a_time(harness: _LoggerHarness) -> None:
    """Numbers of several trainings may come in turns."""
    logger = harness.started("several")
    for step in range(3):
        for number in range(40):
            with plugin_call("scalars"):
                logger.scalars(_task(number, f"unet on real, seed {number}"), step, {"training/loss": float(step)})
    with plugin_call("finish"):
        logger.finish("finished")


def a_resumed_run_is_taken(harness: _LoggerHarness) -> None:
    """A run that was stopped is started again in the same folder, and steps come again."""
    for first, status in ((0, "stopped"), (3, "finished")):
        logger = harness.started("resumed")
        _train(logger, _task(2), first)
        with plugin_call("finish"):
            logger.finish(status)


def an_empty_run_is_taken(harness: _LoggerHarness) -> None:
    """finish may follow start at once."""
    logger = harness.started("empty")
    with plugin_call("finish"):
        logger.finish("failed")


def labels_may_be_any_text(harness: _LoggerHarness) -> None:
    """Labels with slashes, line breaks and other scripts are taken, and lead out of no folder."""
    inside = harness.folder / "labels"
    before = harness.files()
    logger = harness.started("labels")
    for number, label in enumerate(["../out", "a/b\\c\n", "Δ × 50 % <b>", "." * 300, ""]):
        _train(logger, _task(number, label))
    with plugin_call("finish"):
        logger.finish("finished")
    outside = {path for path in harness.files() - before if not (harness.folder / path).is_relative_to(inside)}
    require(not outside, f"a label made it write {', '.join(map(str, outside))}, outside of its folder")


CHECKS = (
    methods_are_implemented,
    configuration_is_declared,
    nothing_is_written_before_the_start,
    a_training_is_taken,
    several_trainings_are_taken_at_a_time,
    a_resumed_run_is_taken,
    an_empty_run_is_taken,
    labels_may_be_any_text,
)
