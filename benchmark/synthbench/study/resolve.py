"""Study → what it names, found and checked: samples, splits, plugins. Everything that can be refused early is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthbench.datasets import building, library, splits
from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.split_files import read_splits
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Context, Progress, ignore_message, silent
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet, check_sizes
from synthbench.store import Store, key_of
from synthbench.study.inputs import IMPORTED
from synthbench.study.model import DatasetConfig, PluginConfig, Study
from synthbench.study.provenance import task_content
from synthbench.study.provenance.encoders import pick_encoder
from synthbench.study.provenance.plugins import PluginFingerprint, fingerprint_plugin

__all__ = [
    "Condition",
    "LONG",
    "Resolved",
    "SMALLEST",
    "StudyPlugin",
    "amount_of",
    "in_hash_order",
    "open_dataset",
    "resolve",
]

SMALLEST = 3
LONG = ("standard", "paper")
"""Budgets in which a generator is trained twice unless the study says otherwise."""


@dataclass(frozen=True)
class Condition:
    """One dataset, one fold, one amount of real training data: where arms are compared.

    Attributes
    ----------
    dataset, folder
        Its title, and where its samples are.
    fold : int
    split : Split
        Of the whole dataset, frozen.
    train, validation, test : SampleSet
        `train` is the fraction of the split's training samples.
    """

    dataset: str
    folder: Path
    fold: int
    split: splits.Split
    train: SampleSet
    validation: SampleSet
    test: SampleSet

    @property
    def label(self) -> str:
        """Name for messages: dataset, fold and number of training images."""
        return f"{self.dataset}, fold {self.fold}, {len(self.train)} images"


@dataclass(frozen=True)
class StudyPlugin:
    """A plugin of the study: how tables call it, what it is, and how many seeds it has."""

    title: str
    plugin: PluginFingerprint
    seeds: int


@dataclass(frozen=True)
class Resolved:
    """A study with everything it names."""

    study: Study
    conditions: tuple[Condition, ...]
    generators: tuple[StudyPlugin, ...]
    segmenters: tuple[StudyPlugin, ...]
    encoder: PluginFingerprint
    encoder_fingerprint: str


def resolve(
    study: Study, store: Store, progress: Progress = silent, notify: Callable[[str], None] = ignore_message
) -> Resolved:
    """Find and check everything a study names.

    Parameters
    ----------
    study, store, progress
    notify
        Called with the terms of a dataset before it is downloaded.

    Raises
    ------
    SynthbenchError
        With one line that says what is wrong and how to fix it.
    """
    known = {kind: [c.name for c in getattr(study, f"{kind}s")] for kind in ("generator", "segmenter")}
    for kind, names in known.items():
        for name in names:
            registry().get(kind, name)
    generators = tuple(_choice(store, "generator", c, study, study.generator_seeds or 1) for c in study.generators)
    if study.generator_seeds is None:
        study = study.model_copy(update={"generator_seeds": _generator_seeds(study, generators)})
        own = zip(study.generators, generators, strict=True)
        generators = tuple(replace(g, seeds=c.seeds or study.generator_seeds or 1) for c, g in own)
    segmenters = tuple(_choice(store, "segmenter", c, study, study.seeds) for c in study.segmenters)
    encoder_config = study.encoder.config if study.encoder else {}
    picked = pick_encoder(study.encoder.name if study.encoder else None, encoder_config)
    encoder = fingerprint_plugin(store, "encoder", picked.name, encoder_config)
    conditions: list[Condition] = []
    for choice in study.datasets:
        samples, folder = open_dataset(choice, store, progress, notify)
        for plugin in (*generators, *segmenters):
            if samples.task not in plugin.plugin.tasks:
                raise ConfigError(
                    f"{plugin.plugin.kind} {plugin.title!r} can't do task {samples.task!r} of dataset {choice.name!r}; "
                    f"it does {', '.join(sorted(plugin.plugin.tasks))}: take it out of the study"
                )
            if reason := plugin.plugin.unsupported_reason.get(samples.task):
                raise ConfigError(f"{plugin.plugin.kind} {plugin.title!r} on dataset {choice.name!r}: {reason}")
        conditions.extend(_conditions(choice, samples, folder, study))
    _check_distinct(conditions)
    for condition in conditions:
        _check_condition(condition, (*generators, *segmenters))
    return Resolved(study, tuple(conditions), generators, segmenters, encoder, picked.fingerprint)


def _check_distinct(conditions: Sequence[Condition]) -> None:
    """Raise `ConfigError` if two conditions couldn't be told apart in a table."""
    folders: dict[str, Path] = {}
    seen: set[tuple[str, int, int]] = set()
    for condition in conditions:
        if folders.setdefault(condition.dataset, condition.folder) != condition.folder:
            raise ConfigError(
                f"datasets: two are called {condition.dataset!r}; keep one of them under another name by "
                "'synthbench dataset add PATH --name NAME'"
            )
        place = condition.dataset, condition.fold, len(condition.train)
        if place in seen:
            raise ConfigError(
                f"fractions: two of them come to {len(condition.train)} images of {condition.dataset!r}; leave one out"
            )
        seen.add(place)


def _generator_seeds(study: Study, generators: Sequence[StudyPlugin]) -> int:
    """Return how many seeds generators have by default: two where one of them trains for long."""
    names = [(choice.budget or study.budget).name for choice in study.generators]
    long = [name in LONG and bool(g.plugin.budget.get("steps")) for name, g in zip(names, generators, strict=True)]
    return 2 if any(long) else 1


def _choice(store: Store, kind: str, choice: PluginConfig, study: Study, seeds: int) -> StudyPlugin:
    described = fingerprint_plugin(store, kind, choice.name, choice.config, choice.budget or study.budget)
    if choice.budget and not described.budget.get("steps"):
        raise ConfigError(
            f"{kind} {choice.title!r}: takes no training steps, so its budget would change nothing; leave it out"
        )
    return StudyPlugin(choice.title, described, choice.seeds or seeds)


def open_dataset(
    choice: DatasetConfig, store: Store, progress: Progress = silent, notify: Callable[[str], None] = ignore_message
) -> tuple[SampleSet, Path]:
    """Return a dataset's samples and their folder.

    A plugin's is the library's, where it was added with this configuration; else it is built into the store. Any other
    is opened or imported.
    """
    if ("dataset", choice.name) not in registry().entries:
        if choice.config:
            raise ConfigError(f"dataset {choice.name!r}: config is for plugins, and this is none; leave it out")
        imported = store.root / IMPORTED
        samples, folder = library.open_dataset(
            choice.name, imported, task=choice.task, classes=choice.classes, ignore=choice.ignore, progress=progress
        )
        _check_dataset_config(choice, samples)
        return samples, folder
    if choice.ignore is not None:
        raise ConfigError(f"dataset {choice.name!r}: ignore is for label maps at a path; leave it out")
    described = fingerprint_plugin(store, "dataset", choice.name, choice.config)
    if added := library.find_built(choice.name, described.config):
        _check_dataset_config(choice, added[0])
        return added
    content = task_content("dataset", {"plugin": described.content()})
    key = key_of(content)
    with store.locked("dataset", key):
        found = store.find("dataset", key)
        if found is None:
            notify(building.download_terms(choice.name, described.config))
            folder = store.begin("dataset", key)
            context = Context(folder=store.work_folder("dataset", key), progress=progress)
            building.build_dataset(choice.name, dict(described.config), folder / "samples", context)
            found = store.commit("dataset", key, content, {"label": choice.name})
    samples = SampleSet.open(found.folder / "samples")
    _check_dataset_config(choice, samples)
    return samples, found.folder / "samples"


def _check_dataset_config(choice: DatasetConfig, samples: SampleSet) -> None:
    """Raise `ConfigError` if a dataset isn't what the study says of it."""
    if choice.task and choice.task != samples.task:
        raise ConfigError(
            f"dataset {choice.name!r}: its task is {samples.task!r}, and the study says {choice.task!r}; leave it out"
        )
    if choice.classes and samples.classes and list(samples.classes) != choice.classes:
        raise ConfigError(f"dataset {choice.name!r}: its classes are {', '.join(samples.classes)}; leave them out")


def _conditions(choice: DatasetConfig, samples: SampleSet, folder: Path, study: Study) -> list[Condition]:
    if len(samples) < SMALLEST:
        raise DataError(
            f"dataset {choice.name!r} has {len(samples)} sample(s); it takes at least {SMALLEST}: "
            "one each to train, to validate and to test"
        )
    conditions = []
    for fold, split in enumerate(_splits(choice, samples)):
        for amount in study.fractions:
            chosen = take_fraction(samples, split.train, amount, seed=choice.split.seed)
            conditions.append(
                Condition(
                    dataset=Path(choice.name).expanduser().resolve().name,
                    folder=folder,
                    fold=fold,
                    split=split,
                    train=samples.subset(chosen),
                    validation=samples.subset(split.validation),
                    test=samples.subset(split.test),
                )
            )
    return conditions


def _splits(choice: DatasetConfig, samples: SampleSet) -> Sequence[splits.Split]:
    if choice.split.file:
        return [split.check(samples, choice.split.group) for split in read_splits(choice.split.file)]
    return splits.make_splits(samples, **choice.split.model_dump(exclude={"file"}))


def _check_condition(condition: Condition, choices: Sequence[StudyPlugin]) -> None:
    if not any(entry.objects for entry in condition.train.entries):
        raise DataError(
            f"{condition.label}: no training image has any object (all background); there is nothing to learn"
        )
    for choice in choices:
        if choice.plugin.budget.get("steps"):
            check_sizes(condition.train, choice.plugin.budget["patch_size"])
        _check_ignore(condition, choice)


def _check_ignore(condition: Condition, choice: StudyPlugin) -> None:
    """Raise `ConfigError` if a plugin would take pixels without a known label for background."""
    kind, name = choice.plugin.kind, choice.plugin.name
    seen = (condition.train, condition.validation) if kind == "segmenter" else (condition.train,)
    cls: Any = registry().load(kind, name) if any(samples.has_ignored for samples in seen) else None
    if cls is not None and not cls.supports_ignore:
        raise ConfigError(
            f"{kind} {choice.title!r} would take the ignored pixels of dataset {condition.dataset!r} for background; "
            "take it out of the study, or crop the images to what is labelled"
        )


def amount_of(amount: int | str, real: int) -> int:
    """Return how many synthetic samples an amount means: a number, or a multiple (``"2x"``) of the real ones.

    Raises
    ------
    ConfigError
        If that comes to none.
    """
    count = amount if isinstance(amount, int) else math.floor(float(amount.removesuffix("x")) * real + 0.5)
    if count < 1:
        raise ConfigError(f"synthetic: {amount!r} of {real} real images is no sample at all; ask for more")
    return count


def in_hash_order(samples: SampleSet, count: int) -> SampleSet:
    """Return `count` samples in an order that has nothing to do with the set's own: by the SHA-256 of the ids."""
    rank: Callable[[str], str] = lambda name: hashlib.sha256(name.encode()).hexdigest()  # noqa: E731
    return samples.subset(sorted(samples.ids, key=rank)[:count])
