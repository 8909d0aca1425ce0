"""Study → what it names, found and checked: samples, splits, plugins. Everything that can be refused early is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from synthbench.datasets import splits
from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.split_files import read_splits
from synthbench.datasets.unlabelled import check_unlabelled, labelled_samples
from synthbench.environments.plugins import find_plugin
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Context, Progress, ignore_message, silent
from synthbench.plugin.registry import Registered
from synthbench.samples import SampleSet, check_sizes
from synthbench.store import Store
from synthbench.study._dataset_sources import open_dataset
from synthbench.study._existing import ExistingSets, open_existing
from synthbench.study._hosts import Hosts
from synthbench.study._inits import (
    AS_PUBLISHED,
    NOT_DECLARED,
    NOT_SEEN,
    Opener,
    ResolvedInit,
    check_init_data,
    dataset_names,
    resolve_init,
)
from synthbench.study._unlabelled import UnlabelledImages, UnlabelledPool, check_kinds
from synthbench.study.inputs import IMPORTED
from synthbench.study.model import DatasetConfig, PluginConfig, Study
from synthbench.study.provenance.plugins import PluginFingerprint

__all__ = [
    "Condition",
    "LONG",
    "NOT_DECLARED",
    "NOT_SEEN",
    "Resolved",
    "SMALLEST",
    "StudyPlugin",
    "amount_of",
    "in_hash_order",
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
    unlabelled : UnlabelledImages
        Images without labels, whatever the fraction; none where no generator of the study uses them.
    origins : frozenset of str
        Names of the dataset and of those that its images come from.
    """

    dataset: str
    folder: Path
    fold: int
    split: splits.Split
    train: SampleSet
    validation: SampleSet
    test: SampleSet
    unlabelled: UnlabelledImages = field(default_factory=UnlabelledImages)
    origins: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Name for messages: dataset, fold and number of training images."""
        return f"{self.dataset}, fold {self.fold}, {len(self.train)} images"


@dataclass(frozen=True)
class StudyPlugin:
    """A plugin of the study: how tables call it, what it is, how many seeds it has, and what it starts from."""

    title: str
    plugin: PluginFingerprint
    seeds: int
    init: ResolvedInit | None = None

    @property
    def is_trained(self) -> bool:
        """Whether its weights change: False where published ones are used as they are."""
        return self.init is None or bool(self.plugin.budget.get("steps"))


@dataclass(frozen=True)
class Resolved:
    """A study with everything it names; `existing`: samples that exist, by titles of dataset and generator."""

    study: Study
    conditions: tuple[Condition, ...]
    generators: tuple[StudyPlugin, ...]
    segmenters: tuple[StudyPlugin, ...]
    encoder: PluginFingerprint
    encoder_fingerprint: str
    existing: Mapping[tuple[str, str], ExistingSets] = field(default_factory=dict)


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
    plugins = {kind: [_find(kind, c) for c in getattr(study, f"{kind}s")] for kind in ("generator", "segmenter")}
    encoder_entry = _find("encoder", study.encoder) if study.encoder else None
    with Hosts(store) as hosts:
        generators = _choices(hosts, study, "generator", plugins["generator"])
        opened = partial(open_dataset, hosts, store=store, progress=progress, notify=notify)
        segmenters = _segmenters(hosts, study, plugins["segmenter"], opened)
        seeds_given = study.generator_seeds is not None
        if study.generator_seeds is None:
            study = study.model_copy(update={"generator_seeds": _generator_seeds(study, generators)})
            own = zip(study.generators, generators, strict=True)
            generators = tuple(replace(g, seeds=c.seeds or study.generator_seeds or 1) for c, g in own)
        encoder, weights = hosts.encoder(encoder_entry, study.encoder)
        conditions: list[Condition] = []
        existing: dict[tuple[str, str], ExistingSets] = {}
        for choice in study.datasets:
            samples, folder = opened(choice)
            _check_task(choice, samples, (*generators, *segmenters))
            check_unlabelled(samples)
            pool = None
            if any(generator.plugin.uses_unlabelled for generator in generators):
                pool = UnlabelledPool(samples, choice.split.group, store, progress)
            conditions.extend(_conditions(choice, samples, folder, study, pool))
            existing |= _existing(
                hosts, _title(choice), samples, zip(generators, plugins["generator"], strict=True), store, progress
            )
    _check_distinct(conditions)
    study, generators = _with_own_seeds(study, generators, existing, explicit=seeds_given)
    for condition in conditions:
        _check_condition(condition, (*generators, *segmenters))
        _check_existing(condition, study, generators, segmenters, existing)
    for init in (segmenter.init for segmenter in segmenters if segmenter.init):
        check_init_data(init, conditions)
    return Resolved(study, tuple(conditions), generators, segmenters, encoder, weights, existing)


def _find(kind: str, choice: PluginConfig) -> Registered:
    return find_plugin(kind, choice.name, choice.environment)


def _check_task(choice: DatasetConfig, samples: SampleSet, plugins: Sequence[StudyPlugin]) -> None:
    """Raise `ConfigError` if one of the plugins can't do the task of a dataset."""
    for plugin in plugins:
        if samples.task not in plugin.plugin.tasks:
            raise ConfigError(
                f"{plugin.plugin.kind} {plugin.title!r} can't do task {samples.task!r} of dataset {choice.name!r}; "
                f"it does {', '.join(sorted(plugin.plugin.tasks))}: take it out of the study"
            )
        if reason := plugin.plugin.unsupported_reason.get(samples.task):
            raise ConfigError(f"{plugin.plugin.kind} {plugin.title!r} on dataset {choice.name!r}: {reason}")


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


def _choices(hosts: Hosts, study: Study, kind: str, entries: Sequence[Registered]) -> tuple[StudyPlugin, ...]:
    seeds = study.seeds if kind == "segmenter" else study.generator_seeds or 1
    chosen = []
    for choice, entry in zip(getattr(study, f"{kind}s"), entries, strict=True):
        budget = choice.budget or study.budget
        described = hosts.fingerprint(entry, choice.config, budget)
        if choice.budget and budget.steps != 0 and not described.budget.get("steps"):
            raise ConfigError(
                f"{kind} {choice.title!r}: takes no training steps, so its budget would change nothing; leave it out"
            )
        chosen.append(StudyPlugin(choice.title, described, choice.seeds or seeds))
    return tuple(chosen)


def _segmenters(hosts: Hosts, study: Study, entries: Sequence[Registered], opened: Opener) -> tuple[StudyPlugin, ...]:
    """Return the segmenters, each once for each thing that it starts from."""
    chosen = []
    named = _choices(hosts, study, "segmenter", entries)
    for choice, entry, plain in zip(study.segmenters, entries, named, strict=True):
        budget = choice.budget or study.budget
        for init in choice.init or study.init:
            resolved = resolve_init(hosts, entry, choice, init, budget, opened, _splits)
            if resolved is None:
                if budget.steps == 0:
                    raise ConfigError(
                        f"segmenter {choice.title!r}: 0 steps are for weights from elsewhere; give it an init, or steps"
                    )
                chosen.append(plain)
                continue
            title = f"{choice.title} from {resolved.title}{'' if budget.steps != 0 else AS_PUBLISHED}"
            seeds = plain.seeds if budget.steps != 0 else 1
            chosen.append(replace(plain, title=title, seeds=seeds, init=resolved))
    for title in (titles := [each.title for each in chosen]):
        if titles.count(title) > 1:
            raise ConfigError(f"segmenters: {title!r} occurs twice; give one of them a label of its own")
    return tuple(chosen)


def _conditions(
    choice: DatasetConfig, samples: SampleSet, folder: Path, study: Study, pool: UnlabelledPool | None
) -> list[Condition]:
    if (annotated := len(labelled_samples(samples))) < SMALLEST:
        raise DataError(
            f"dataset {choice.name!r} has {annotated} annotated sample(s); it takes at least {SMALLEST}: "
            "one each to train, to validate and to test"
        )
    conditions = []
    for fold, split in enumerate(_splits(choice, samples)):
        unlabelled = pool.without(split) if pool else UnlabelledImages()
        for amount in study.fractions:
            chosen = take_fraction(samples, split.train, amount, seed=choice.split.seed)
            conditions.append(
                Condition(
                    dataset=_title(choice),
                    folder=folder,
                    fold=fold,
                    split=split,
                    train=samples.subset(chosen),
                    validation=samples.subset(split.validation),
                    test=samples.subset(split.test),
                    unlabelled=unlabelled,
                    origins=dataset_names(choice),
                )
            )
    return conditions


def _title(choice: DatasetConfig) -> str:
    return Path(choice.name).expanduser().resolve().name


def _existing(
    hosts: Hosts,
    dataset: str,
    samples: SampleSet,
    generators: Iterable[tuple[StudyPlugin, Registered]],
    store: Store,
    progress: Progress,
) -> dict[tuple[str, str], ExistingSets]:
    """Return the samples of generators that exist already, by titles of dataset and generator."""
    found = {}
    for generator, entry in generators:
        if not generator.plugin.has_existing:
            continue
        ask = partial(hosts.existing_samples, entry, generator.plugin.config)
        context = Context(folder=store.root / IMPORTED, progress=progress)
        opened = open_existing(generator.title, dataset, samples, store, ask, context)
        if opened is not None:
            found[dataset, generator.title] = opened
    return found


def _with_own_seeds(
    study: Study, generators: Sequence[StudyPlugin], existing: Mapping[tuple[str, str], ExistingSets], *, explicit: bool
) -> tuple[Study, tuple[StudyPlugin, ...]]:
    """Return study and generators where one with existing samples has, unless told, a seed for each of its sets.

    Raises
    ------
    ConfigError
        If one has fewer sets than seeds.
    """
    sets = {title: found for (_, title), found in existing.items()}
    choices, chosen = list(study.generators), list(generators)
    for number, generator in enumerate(generators):
        if (found := sets.get(generator.title)) is None:
            continue
        seeds = generator.seeds if explicit or choices[number].seeds else len(found.sets)
        found.check_seeds(seeds)
        chosen[number] = replace(generator, seeds=seeds)
        choices[number] = choices[number].model_copy(update={"seeds": seeds})
    return study.model_copy(update={"generators": choices}), tuple(chosen)


def _check_existing(
    condition: Condition,
    study: Study,
    generators: Sequence[StudyPlugin],
    segmenters: Sequence[StudyPlugin],
    existing: Mapping[tuple[str, str], ExistingSets],
) -> None:
    """Raise an error if samples that exist already don't suit a condition, or show what it tests."""
    for generator in generators:
        if (found := existing.get((condition.dataset, generator.title))) is None:
            continue
        found.check_split(condition.split)
        found.check_kinds(condition.train)
        for amount in study.synthetic:
            found.check_amount(amount, amount_of(amount, len(condition.train)), len(condition.train), generator.seeds)
        for segmenter in segmenters:
            patch = segmenter.plugin.budget["patch_size"] if segmenter.plugin.budget.get("steps") else None
            found.check_segmenter(segmenter.title, patch, supports_ignore=segmenter.plugin.supports_ignore)


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
            if choice.plugin.uses_unlabelled:
                check_sizes(condition.unlabelled.samples, choice.plugin.budget["patch_size"])
        if choice.plugin.uses_unlabelled:
            check_kinds(condition.unlabelled.samples, condition.train, condition.dataset)
        _check_ignore(condition, choice)


def _check_ignore(condition: Condition, choice: StudyPlugin) -> None:
    """Raise `ConfigError` if a plugin would take pixels without a known label for background."""
    kind = choice.plugin.kind
    seen = (condition.train, condition.validation) if kind == "segmenter" else (condition.train,)
    if not choice.plugin.supports_ignore and any(samples.has_ignored for samples in seen):
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
