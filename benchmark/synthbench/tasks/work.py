"""What a task is handed, and the reading of its inputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.plan import Task
from synthbench.plugin.api import LOG, Context
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet
from synthbench.store import Store


@dataclass(frozen=True)
class Work:
    """One task, about to run.

    Attributes
    ----------
    task : Task
    store : Store
    folder : Path
        Where the artifact's files go; it becomes visible when the task succeeds.
    context : Context
        Without seed and budget: those are the task's.
    stage : callable
        Called with the name of each stage as it begins: what a failure is reported with.
    """

    task: Task
    store: Store
    folder: Path
    context: Context
    stage: Callable[[str], None]

    def samples(self, name: str) -> SampleSet:
        """Open one of the task's sets of real samples."""
        where = self.task.where[name]
        return SampleSet.open(where["folder"]).subset(where["ids"])

    def drawn(self, take: int) -> SampleSet:
        """Open the first samples of the task's synthetic set."""
        return SampleSet.open(self.store.get("draw", self.task.where["draw"]).folder / "samples")[:take]

    def keep_log(self) -> None:
        """Put what training logged beside the model."""
        logged = self.context.folder / LOG if self.context.folder else None
        if logged is not None and logged.is_dir():
            shutil.copytree(logged, self.folder / LOG)

    def load(self, kind: str, name: str) -> Any:
        """Import a plugin's class."""
        return registry().load(kind, name)


def configured(cls: Any, plugin: Mapping[str, Any]) -> Any:
    """Return an instance of a plugin's class from its part of a key."""
    return cls(cls.Config.model_validate(dict(plugin["config"])))
