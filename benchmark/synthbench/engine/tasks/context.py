"""What a task is given, and how it opens its inputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.errors import StoreError
from synthbench.plugin.api import LOG, Context
from synthbench.plugin.precision import Precision
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.inputs import open_real, open_synthetic
from synthbench.study.plan import Task
from synthbench.study.provenance import SCALE, planned_precision, task_code
from synthbench.study.provenance.plugins import changes_since
from synthbench.study.scaling import scale_set

__all__ = ["CHANGED", "SINCE", "TaskContext", "configured"]


@dataclass(frozen=True)
class TaskContext:
    """One task, about to run.

    Attributes
    ----------
    task : Task
    store : Store
    folder : Path
        Where the artifact's files go; it becomes visible when the task succeeds.
    plugin_context : Context
        Without seed and budget: those are the task's.
    enter_stage : callable
        Called with the name of each stage as it begins: what a failure is reported with.
    """

    task: Task
    store: Store
    folder: Path
    plugin_context: Context
    enter_stage: Callable[[str], None]

    @property
    def scale(self) -> float:
        """The factor by which the task scales samples; 1 where it leaves them as they are."""
        return float(self.task.content[SCALE]["factor"]) if SCALE in self.task.content else 1.0

    def open_real(self, name: str, *, scaled: bool = True) -> SampleSet:
        """Open one of the task's sets of real samples.

        Parameters
        ----------
        name
        scaled
            Whether they are scaled as the task says; they have their original size otherwise.

        Raises
        ------
        DataError
            If the set isn't the one in the key.
        """
        planned = self.task.content[name]
        fingerprint = planned if isinstance(planned, str) else planned["set"]
        samples = open_real(self.store, self.task.where[name], fingerprint)
        return scale_set(samples, self.scale) if scaled else samples

    def open_synthetic(self, planned: Mapping[str, Any]) -> SampleSet:
        """Open the first samples of the task's synthetic set; raise `StoreError` if it isn't the one in the key."""
        return open_synthetic(self.store, self.task.where["draw"], planned)

    def keep_log(self) -> None:
        """Put what training logged beside the model."""
        logged = self.plugin_context.folder / LOG if self.plugin_context.folder else None
        if logged is not None and logged.is_dir():
            shutil.copytree(logged, self.folder / LOG)

    def verify(self) -> Precision:
        """Return the precision that the key asks for.

        Raises
        ------
        StoreError
            If this process can't compute as the key says: on this kind of device, in this precision, by this code.
        """
        content, device = self.task.content, self.plugin_context.device
        precision = planned_precision(content["compute"], device) if "compute" in content else "auto"
        code = {**task_code(self.task.kind), **({SCALE: task_code(SCALE)} if SCALE in content else {})}
        planned_code = {**content, SCALE: {k: v for k, v in content.get(SCALE, {}).items() if k != "factor"}}
        if any(planned_code[name] != now for name, now in code.items()):
            raise StoreError(f"synthbench's own code, or a library it uses, {CHANGED}")
        return precision

    def load_plugin(self, kind: str, planned: Mapping[str, Any], *, fits: bool = False) -> Any:
        """Import a plugin's class.

        Parameters
        ----------
        kind
        planned
            The plugin's part of the key of what it trained, or is to train.
        fits
            Whether it trains here, and so reads the files that its configuration names.

        Raises
        ------
        StoreError
            If its source, the versions that it imports, its files or its fingerprint aren't those in the key.
        """
        cls = registry().load(kind, planned["name"])
        self.check_plugin(cls, kind, planned, fits=fits)
        return cls

    def check_plugin(self, cls: Any, kind: str, planned: Mapping[str, Any], *, fits: bool = True) -> None:
        """Raise `StoreError` as `load_plugin` does. Called again after a fit, as files may have changed meanwhile."""
        if changes := changes_since(cls, self.settings(planned), kind, fits=fits):
            raise StoreError(f"{changes} {SINCE}")

    def settings(self, planned: Mapping[str, Any]) -> dict[str, Any]:
        """Return a plugin's part of a key with the locations of its files here, which keys don't have."""
        return {**planned, "config": {**planned["config"], **self.task.where.get("locations", {})}}


SINCE = "since the study was planned; run it again"
CHANGED = f"changed {SINCE}"


def configured(cls: Any, plugin: Mapping[str, Any]) -> Any:
    """Return an instance of a plugin's class from its part of a key."""
    return cls(cls.Config.model_validate(dict(plugin["config"])))
