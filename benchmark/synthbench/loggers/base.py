"""The interface of loggers: they are given what trainings have recorded, and influence nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic

import numpy as np
from numpy.typing import NDArray

from synthbench.plugin.api import Config, ConfigT

__all__ = ["LoggedRun", "LoggedTask", "Logger"]


@dataclass(frozen=True)
class LoggedRun:
    """The run that a logger is started for.

    Attributes
    ----------
    name : str
        Of the study.
    folder : Path
        Where the logger may write; it needn't exist yet. A run that is resumed gets the same folder again.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class LoggedTask:
    """The task that something was recorded in.

    Attributes
    ----------
    key : str
        64 hexadecimal digits; the same in each run that does the same.
    kind : str
        ``fit-generator``, ``draw``, ``fit-segmenter`` or ``evaluate``.
    label : str
        For people: any text.
    plugin : str
        The plugin that does the work.
    """

    key: str
    kind: str
    label: str
    plugin: str


class Logger(ABC, Generic[ConfigT]):
    """Takes losses, pictures and scores. Calls come from the process that runs the study: they should return at once.

    What a call raises ends the logging, and not the run.

    Parameters
    ----------
    config : Config
        The logger's own options, an instance of its class `Config`.
    """

    Config: ClassVar[type[Config]] = Config

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @abstractmethod
    def start(self, run: LoggedRun) -> None:
        """Begin. Called once, before anything else."""

    @abstractmethod
    def scalars(self, task: LoggedTask, step: int, values: Mapping[str, float]) -> None:
        """Take numbers.

        Parameters
        ----------
        task
        step
            The step of the training, from 0 on; of scores, 0. It rises from call to call for each name; a training that
            was interrupted begins in the next run at a step that was taken already.
        values
            By name: losses as ``PHASE/LOSS``, scores as ``f1@0.50``. Finite.
        """

    @abstractmethod
    def image(self, task: LoggedTask, step: int, name: str, image: NDArray[np.uint8]) -> None:
        """Take a picture.

        Parameters
        ----------
        task, step
        name
        image
            Height × width × 3, uint8, RGB.
        """

    @abstractmethod
    def finish(self, status: str) -> None:
        """End; called once, also after an error.

        Parameters
        ----------
        status
            ``"finished"``, ``"stopped"`` by a signal, or ``"failed"``.
        """
