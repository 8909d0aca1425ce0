"""The engine's interface: start a task, hear of it. The store is the memory; an engine keeps none of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from synthbench.study.plan import Task

__all__ = ["Engine", "Event", "Options", "Outcome", "Status"]

Status = Literal["done", "stored", "failed", "timeout", "crashed", "stopped"]


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
    time_limit : float or None
        Seconds a task may take.
    facts : mapping
        Written into every record: source state, hardware.
    """

    store: str
    device: str = "auto"
    threads: int = 1
    time_limit: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A report of a running task: how far it is, or a `message` for the user."""

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
        ``done``, or ``stored`` when another process had computed it meanwhile; else how it failed.
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


class Engine(ABC):
    """Carries out tasks. Implement these four and any machine can run a study."""

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
