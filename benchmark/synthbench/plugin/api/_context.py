"""What the core hands a plugin for one piece of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from synthbench.errors import ConfigError
from synthbench.plugin.api._budget import Budget
from synthbench.plugin.api._partner import TrainingPartner
from synthbench.samples import SampleSet

__all__ = ["Context", "Init", "LOG", "Progress", "Stopped", "ignore_message", "silent"]

LOG = "log"
"""Name of the folder of losses and pictures; see `Context.folder`."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total, note): the unit is the caller's, `note` is short (``"loss 0.31"``)."""


def silent(done: int, total: int, note: str = "") -> None:
    """Show no progress."""


def ignore_message(line: str) -> None:
    """Do nothing with a message to the user."""


@dataclass(frozen=True)
class Init:
    """The weights that a segmenter starts from.

    Attributes
    ----------
    model : Path or None
        Folder with what the same class saved after training on another dataset, for its `load`.
    file : Path or None
        Published weights: a file, or a folder of files. Read with `synthbench.toolkit.training.weights`, never
        unpickled.

    Raises
    ------
    ConfigError
        Unless exactly one of the two is given.
    """

    model: Path | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        if (self.model is None) == (self.file is None):
            raise ConfigError("init: give either a trained model or a file of weights")


@dataclass(frozen=True)
class Context:
    """What the core hands a plugin for one piece of work.

    Attributes
    ----------
    seed : int
        Every random choice derives from it.
    budget : Budget
    device : str
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``, already resolved.
    folder : Path or None
        A private folder for checkpoints, that outlives a killed process and is removed when the task succeeds. What
        lies in its folder `LOG` is kept beside the trained model, for people.
    progress : Progress
    should_stop : callable
        True when the user asked to stop: leave a checkpoint and raise `Stopped`.
    threads : int
        CPU threads this task may use.
    notify : callable
        Called with a line that the user should read though nothing failed: a checkpoint that can't be used.
    task : str
        The key of the task, to which its checkpoints belong; empty outside of a run.
    init : Init or None
        What a segmenter starts from; None: from weights drawn from the seed. Given only to classes whose
        `Segmenter.supports_init` says so.
    partner : TrainingPartner or None
        A generator that the segmenter trains together with itself. Given only to classes whose
        `Segmenter.supports_joint` is True.
    unlabelled : SampleSet or None
        Images without labels, for generators whose `Generator.uses_unlabelled` is True: their label maps are 0 and
        their ignore regions cover everything. None where the dataset has none.
    """

    seed: int = 0
    budget: Budget = field(default_factory=lambda: Budget(steps=0))
    device: str = "cpu"
    folder: Path | None = None
    progress: Progress = silent
    should_stop: Callable[[], bool] = lambda: False
    threads: int = 1
    notify: Callable[[str], None] = ignore_message
    task: str = ""
    init: Init | None = None
    partner: TrainingPartner | None = None
    unlabelled: SampleSet | None = None

    def with_seed(self, seed: int) -> Context:
        """Return the same context with another seed."""
        return replace(self, seed=seed)


class Stopped(Exception):
    """Raised by a plugin that stopped because `Context.should_stop` said so."""
