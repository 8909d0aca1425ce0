"""A trained plugin of the store, loaded to be used outside of a study."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthbench.engine.devices import choose, inherited
from synthbench.environments.variables import INSIDE
from synthbench.errors import PluginError, StoreError, SynthbenchError
from synthbench.plugin.api import Budget, Context, Progress, silent
from synthbench.plugin.precision import Precision, computing_in
from synthbench.plugin.registry import one_line, registry
from synthbench.processes.count import usable_processors
from synthbench.samples import TASKS, Task
from synthbench.store import Store
from synthbench.study.provenance import SCALE, planned_precision
from synthbench.study.provenance.plugins import changes_since

__all__ = ["Trained", "open_trained", "plugin_errors"]


@dataclass(frozen=True)
class Trained:
    """A trained generator or segmenter.

    Attributes
    ----------
    kind : {"generator", "segmenter"}
    key : str
        Of the training.
    record : mapping
        Of the artifact.
    folder : Path
        What the plugin saved.
    task : {"instances", "semantic"}
    classes : tuple of str
        Names of the classes of a semantic task.
    notes : list of str
        What the user should know of the model as it is loaded here; filled by `loaded`.
    """

    kind: str
    key: str
    record: Mapping[str, Any]
    folder: Path
    task: Task = "instances"
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return str(self.record["content"]["plugin"]["name"])

    @property
    def label(self) -> str:
        """The training, for people."""
        return str(self.record.get("label") or f"{self.kind} {self.plugin}")

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return int(self.record["content"]["seed"])

    @property
    def factor(self) -> float:
        """By how much the training images were scaled; 1 where they weren't."""
        return float(self.record["content"].get(SCALE, {}).get("factor", 1.0))

    @property
    def environment(self) -> str:
        """The environment in which the plugin runs, if this process isn't in it; an empty string for this one."""
        return "" if os.environ.get(INSIDE) else str(self.record.get("environment", ""))

    @contextmanager
    def loaded(self, device: str = "auto", threads: int | None = None, progress: Progress = silent) -> Iterator[Any]:
        """Yield the plugin as it was trained, on a device and in the precision of the training where that is possible.

        Parameters
        ----------
        device
            ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
        threads
            CPU threads; by default as many as the training had, and for segmenters as many as there are processors.
        progress

        Raises
        ------
        SynthbenchError
            If the plugin isn't there any more, or can't load what it saved.
        """
        content = self.record["content"]
        planned = content["plugin"]
        cls: Any = registry().load(self.kind, planned["name"])
        if changes := changes_since(cls, planned, self.kind, fits=False):
            self.notes.append(f"{changes} since the training: what it returns may differ from that of the study")
        gpus = choose(device)
        count = threads or (int(self.record.get("threads", 1)) if self.kind == "generator" else usable_processors())
        with inherited(gpus[:1], count):
            kind = "cuda" if gpus else "cpu"
            context = Context(
                seed=self.seed,
                budget=Budget(**planned["budget"]) if planned["budget"] else Budget(steps=0),
                device=kind,
                progress=progress,
                threads=count,
                notify=self.notes.append,
            )
            with computing_in(self._precision(kind)):
                with plugin_errors(self.kind, self.plugin):
                    plugin = cls.load(self.folder, context)
                yield plugin

    def _precision(self, device: str) -> Precision:
        """Return the precision of the training; on another kind of device the usual one there."""
        compute = self.record["content"].get("compute")
        try:
            return planned_precision(compute, device) if compute else "auto"
        except StoreError:
            self.notes.append(
                f"it was trained on {compute['device']} in {compute['precision']}, and this process computes on "
                f"{device}: last digits, and pixels that depend on them, may differ from those of the study"
            )
            return "auto"


def open_trained(store: Store, kind: str, key: str, label: str = "") -> Trained:
    """Open a trained plugin of the store.

    Parameters
    ----------
    store
    kind
        ``"generator"`` or ``"segmenter"``.
    key
    label
        The training, for the message.

    Raises
    ------
    StoreError
        If the store lacks it, or its files are damaged.
    """
    artifact = store.find(f"fit-{kind}", key, thorough=True)
    if artifact is None:
        what = f"{kind} {key[:12]}" + (f" ({label})" if label else "")
        damaged = store.folder(f"fit-{kind}", key).exists()
        problem = "its files are damaged" if damaged else f"isn't in the store {store.root}"
        hint = "" if damaged else ", or name the store that has it with --store"
        raise StoreError(f"{what}: {problem}; train it with 'synthbench run'{hint}")
    task, classes = _task_of(store, key, artifact.record)
    return Trained(kind, key, artifact.record, artifact.folder / "model", task, classes)


def _task_of(store: Store, key: str, record: Mapping[str, Any]) -> tuple[Task, tuple[str, ...]]:
    """Return task and classes of a training; segmenters of earlier versions have them in their evaluations only."""
    if record.get("task") in TASKS:
        return record["task"], tuple(record.get("classes", ()))
    for other in store.records("evaluate"):
        if other["content"].get("segmenter") == key:
            scores = json.loads((store.folder("evaluate", other["key"]) / "scores.json").read_text(encoding="utf-8"))
            if scores["task"] == "semantic":
                return "semantic", ("background", *(f"class {k}" for k in range(1, scores["classes"])))
            break
    return "instances", ()


@contextmanager
def plugin_errors(kind: str, name: str) -> Iterator[None]:
    """Turn what a plugin raises into a `PluginError` of one line; errors of synthbench and of files stay."""
    try:
        yield
    except (SynthbenchError, OSError):
        raise
    except Exception as error:  # a plugin may raise anything
        raise PluginError(f"{kind} {name!r}: {one_line(error)}") from error
