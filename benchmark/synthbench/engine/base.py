"""The engine's interface: start a task, hear of it. The store is the memory; an engine keeps none of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal

from synthbench.plugin.api import Config, ConfigT
from synthbench.study.plan import Task
from synthbench.study.runtime_estimates import RuntimeEstimates

__all__ = ["Engine", "Event", "Options", "Outcome", "Status"]

Status = Literal["done", "stored", "failed", "timeout", "crashed", "stopped", "busy", "early"]


@dataclass(frozen=True)
class Options:
    """How tasks are run; none of it is part of a key.

    Attributes
    ----------
    store : str
        Root of the store.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    threads : int
        CPU threads a task may use. The same whatever the number of workers, so that results don't depend on it.
    facts : mapping
        Written into every record: source state, hardware.
    time_limit : float or None
        Seconds a task may take.
    workers : int
        Tasks at a time that this machine has processors, or GPUs, for.
    gpus : tuple of str
        The GPUs of this machine that may be used, as ``CUDA_VISIBLE_DEVICES`` takes them.
    interpreters : mapping
        Paths of the interpreters that run tasks of other environments, by the environment's name.
    """

    store: str
    device: str = "auto"
    threads: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    time_limit: float | None = None
    workers: int = 1
    gpus: tuple[str, ...] = ()
    interpreters: Mapping[str, str] = field(default_factory=dict)

    def for_worker(self) -> dict[str, Any]:
        """Return what a worker must know of it, as JSON."""
        return {"store": self.store, "device": self.device, "threads": self.threads, "facts": dict(self.facts)}


@dataclass(frozen=True)
class Event:
    """A report of a running task: how far it is, or a `message` for the user. With an empty key, one of the engine."""

    key: str
    stage: str
    done: int = 0
    total: int = 0
    note: str = ""
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes
    ----------
    status
        ``done``; ``stored`` when another process had computed it meanwhile; ``busy`` when another process is computing
        it, so that nothing was done; ``early`` when what it needs wasn't stored, so that nothing was done; else how it
        failed.
    stage : str
        The stage that failed.
    error : str
        One line.
    traceback : str
    seconds, peak_memory_mb : float
    """

    key: str
    status: Status
    stage: str = ""
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the artifact of the task is in the store."""
        return self.status in ("done", "stored")

    @property
    def is_open(self) -> bool:
        """Whether nothing was done, and the task is still to be run."""
        return self.status in ("busy", "early")


class Engine(ABC, Generic[ConfigT]):
    """Carries out tasks. Implement these four methods, and any machine can run a study.

    Parameters
    ----------
    options : Options
    config : Config
        The engine's own options, an instance of its class `Config`.

    Attributes
    ----------
    has_time_limit : bool
        Whether it ends a task after `Options.time_limit` seconds.
    most_workers : int or None
        Tasks at a time that it can run at most.
    takes_early : bool
        Whether it takes a task while what that needs is still running, and begins it when that is stored. If the task
        can't be begun then, because that failed or is computed by another process, its outcome is ``early``.
    slots : int
        Tasks at a time that it expects to run, for estimates.
    estimates : RuntimeEstimates or None
        What tasks are known to cost, if whoever runs them says so; it learns from each task that is done.

    Raises
    ------
    ConfigError
        If it can't be used with these options, with a hint.
    """

    Config: ClassVar[type[Config]] = Config
    has_time_limit: ClassVar[bool] = True
    most_workers: ClassVar[int | None] = None
    takes_early: ClassVar[bool] = False

    def __init__(self, options: Options, config: ConfigT) -> None:
        self.options = options
        self.config = config
        self.estimates: RuntimeEstimates | None = None

    @classmethod
    def runs_elsewhere(cls, config: ConfigT) -> bool:
        """Return whether tasks run on other machines, so that GPUs and processors of this one don't matter."""
        return False

    @property
    def slots(self) -> int:
        return self.options.workers

    @abstractmethod
    def free(self) -> int:
        """Return how many tasks can be started now."""

    @abstractmethod
    def start(self, task: Task) -> None:
        """Begin a task; call only when `free` is above 0."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Event | Outcome]:
        """Return what happened since the last call; wait for something at most this long."""

    @abstractmethod
    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        """Ask running tasks to stop, give them `grace` seconds to leave a checkpoint, then end them."""
