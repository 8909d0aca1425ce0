"""What a plan consists of: tasks with their keys, and which of them each row of the results comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from synthbench.plugin.precision import Precision
from synthbench.store import Store
from synthbench.study.provenance import compute_settings
from synthbench.study.provenance.plugins import PluginFingerprint
from synthbench.study.resolve import Resolved

__all__ = ["Fidelity", "LabelConsistency", "Plan", "SCORES", "SCRATCH", "Task", "TrainingRun"]


@dataclass(frozen=True)
class Task:
    """One unit of the plan.

    Attributes
    ----------
    kind : str
        ``fit-generator``, ``draw``, ``encode``, ``assess``, ``fit-segmenter`` or ``evaluate``.
    key : str
        SHA-256 of `content`: everything the result depends on.
    content : mapping
    needs : tuple of str
        Keys of the tasks whose artifacts it reads.
    where : mapping
        How to find its inputs; not part of the key.
    label : str
        For people.
    plugin : str
        The plugin that does the work, or an empty string.
    environment : str
        The environment that it runs in, by name; an empty string for this one. Not part of the key, which has the
        versions that are installed there.
    """

    kind: str
    key: str
    content: Mapping[str, Any]
    needs: tuple[str, ...]
    where: Mapping[str, Any]
    label: str
    plugin: str = ""
    environment: str = ""


SCORES = ("evaluate", "assess")
"""Kinds of task whose small files are what tables show: always verified by their hash, not by a look at the clock."""


SCRATCH = "scratch"
"""What a segmenter starts from whose weights are drawn from the seed."""


@dataclass(frozen=True)
class TrainingRun:
    """One training of a segmenter in one arm, scored on one test set: where a row of results comes from.

    `synthetic_ratio` is the fraction of synthetic patches, 0 … 1, and `schedule` where they stand; empty where there
    are none, or only such. `tested_on` is the title of another dataset whose test images it is scored on; empty for its
    own.

    `init` is what the segmenter starts from, `SCRATCH` or a title, and `weights_seen` which datasets of the test images
    these weights have seen: `synthbench.study.resolve.NOT_SEEN`, `NOT_DECLARED`, `ORIGIN_NOT_DECLARED`, or names;
    empty from scratch.
    `generator_seen` is how many real images beside the training images the maker of samples that exist already has
    seen: a number, `NOT_SEEN` or `NOT_DECLARED`; empty where a generator is fitted. `test_copies` and
    `validation_copies` are how many of these samples are copies of images of those parts in any fold, or nearly; None
    where a generator is fitted.
    """

    condition: int
    arm: str
    generator: str
    synthetic: int
    segmenter: str
    generator_seed: int | None
    seed: int
    fit: str
    evaluate: str
    draw: str | None = None
    fit_generator: str | None = None
    init: str = SCRATCH
    weights_seen: str = ""
    generator_seen: str = ""
    test_copies: int | None = None
    validation_copies: int | None = None
    tested_on: str = ""
    synthetic_ratio: float = 0.0
    schedule: str = ""


@dataclass(frozen=True)
class Fidelity:
    """One comparison of a synthetic set with real images."""

    condition: int
    generator: str
    generator_seed: int
    n: int
    draw: str
    assess: str


@dataclass(frozen=True)
class LabelConsistency:
    """What a segmenter trained on real images alone makes of synthetic ones: are their masks right?"""

    condition: int
    generator: str
    generator_seed: int
    segmenter: str
    seed: int
    evaluate: str


@dataclass
class Plan:
    """The tasks of a study, each after what it needs.

    Attributes
    ----------
    resolved : Resolved
    device : str
        The kind of device that every task of the plan computes on, ``"cpu"`` or ``"cuda"``.
    precision : str
        How precisely, where a plugin leaves the choice.
    tasks : dict
        Key → `Task`, in an order in which they can run.
    training_runs : list of TrainingRun
    fidelity : list of Fidelity
    label_consistency : list of LabelConsistency
    """

    resolved: Resolved
    device: str = "cpu"
    precision: Precision = "auto"
    tasks: dict[str, Task] = field(default_factory=dict)
    training_runs: list[TrainingRun] = field(default_factory=list)
    fidelity: list[Fidelity] = field(default_factory=list)
    label_consistency: list[LabelConsistency] = field(default_factory=list)

    def compute(self, plugin: PluginFingerprint | None) -> dict[str, str]:
        """Return the device and the precision that tasks of a plugin compute in: part of their keys."""
        always_float32 = self.device == "cpu" and not (plugin and plugin.bfloat16_on_cpu)
        return compute_settings(self.device, "fp32" if always_float32 else self.precision)

    def restricted(self, runs: Sequence[TrainingRun]) -> Plan:
        """Return the plan with some of its training runs only, and the tasks that these need.

        Label consistency is kept for the segmenters whose trainings on real images alone are.
        """
        segmenters = {(run.condition, run.segmenter, run.seed) for run in runs if not run.generator}
        consistency = [row for row in self.label_consistency if (row.condition, row.segmenter, row.seed) in segmenters]
        plan = replace(self, training_runs=list(runs), label_consistency=consistency)
        needed: set[str] = set()
        wanted = plan.targets()
        while wanted:
            if (key := wanted.pop()) not in needed:
                needed.add(key)
                wanted.extend(self.tasks[key].needs)
        return replace(plan, tasks={key: task for key, task in self.tasks.items() if key in needed})

    def targets(self) -> list[str]:
        """Return the keys of the tasks whose results are the study's."""
        scored = [run.evaluate for run in self.training_runs] + [row.evaluate for row in self.label_consistency]
        return scored + [row.assess for row in self.fidelity]

    def lacking(self, store: Store) -> list[Task]:
        """Return the tasks that must run, in order: of the targets that the store lacks, and what those need.

        An artifact that nothing missing depends on isn't made again; one that was damaged is.
        """
        stored: dict[str, bool] = {}

        def has(key: str) -> bool:
            if key not in stored:
                task = self.tasks[key]
                stored[key] = store.find(task.kind, key, thorough=task.kind in SCORES) is not None
                if not stored[key] and store.folder(task.kind, key).exists():
                    damaged.append(key)
            return stored[key]

        damaged: list[str] = []
        for key in self.tasks:
            has(key)
        wanted = [key for key in self.targets() if not has(key)] + damaged
        needed: set[str] = set()
        while wanted:
            key = wanted.pop()
            if key not in needed:
                needed.add(key)
                wanted.extend(need for need in self.tasks[key].needs if not has(need))
        return [task for key, task in self.tasks.items() if key in needed]
