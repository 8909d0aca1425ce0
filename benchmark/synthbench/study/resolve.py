"""Study → what it names, found and checked: samples, splits, plugins. Everything that can be refused early is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.unlabelled import check_unlabelled, labelled_samples
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Progress, ignore_message, silent
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._amounts import amount_of
from synthbench.study._condition import Condition
from synthbench.study._dataset_sources import open_dataset, split_dataset
from synthbench.study._existing import ExistingSets, copies_note
from synthbench.study._existing_arms import check_existing_samples, find_existing_samples, with_seeds_of_existing
from synthbench.study._hosts import Hosts
from synthbench.study._init_copies import repeated_training_images
from synthbench.study._init_scales import with_init_scales
from synthbench.study._inits import (
    AS_PUBLISHED,
    NOT_DECLARED,
    NOT_SEEN,
    ORIGIN_NOT_DECLARED,
    check_init_data,
)
from synthbench.study._origins import origins_of
from synthbench.study._plugin_titles import errors_named
from synthbench.study._scales import Scaler, Scaling, check_scaled_sizes
from synthbench.study._study_plugins import LONG, JointGenerator, StudyPlugin, find_entry, resolve_plugins
from synthbench.study._test_sets import (
    TestSet,
    check_against_inits,
    check_test_sets,
    existing_copies,
    open_test_sets,
    test_sets_of,
)
from synthbench.study._unlabelled import UnlabelledImages, UnlabelledPool, check_kinds
from synthbench.study.model import DatasetConfig, Study
from synthbench.study.provenance.plugins import PluginFingerprint

__all__ = [
    "AS_PUBLISHED",
    "Condition",
    "JointGenerator",
    "LONG",
    "NOT_DECLARED",
    "NOT_SEEN",
    "ORIGIN_NOT_DECLARED",
    "Resolved",
    "SMALLEST",
    "Scaling",
    "StudyPlugin",
    "TestSet",
    "amount_of",
    "copies_note",
    "in_hash_order",
    "resolve",
    "test_sets_of",
]

SMALLEST = 3


@dataclass(frozen=True)
class Resolved:
    """A study with everything it names.

    `test_sets` are those of other datasets, which segmenters are scored on as well. `existing` has samples that exist,
    by titles of dataset and generator, and `copies_elsewhere` how many of them are nearly copies of images of a test
    set, by titles of dataset, generator and test set. `trained_twice` has sentences on images that segmenters are
    trained on first and that are training images of the study too.
    """

    study: Study
    conditions: tuple[Condition, ...]
    generators: tuple[StudyPlugin, ...]
    segmenters: tuple[StudyPlugin, ...]
    joint: tuple[JointGenerator, ...]
    encoder: PluginFingerprint
    encoder_fingerprint: str
    existing: Mapping[tuple[str, str], ExistingSets] = field(default_factory=dict)
    trained_twice: tuple[str, ...] = ()
    test_sets: tuple[TestSet, ...] = ()
    copies_elsewhere: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


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
    encoder_entry = find_entry("encoder", study.encoder) if study.encoder else None
    with Hosts(store) as hosts:
        opened = partial(open_dataset, hosts, store=store, progress=progress, notify=notify)
        seeds_given = study.generator_seeds is not None
        study, plugins = resolve_plugins(hosts, study, opened)
        encoder, weights = hosts.encoder(encoder_entry, study.encoder)
        conditions: list[Condition] = []
        existing: dict[tuple[str, str], ExistingSets] = {}
        datasets: dict[str, SampleSet] = {}
        test_sets = open_test_sets(study.test_on, opened)
        scaler = Scaler(study.scale, plugins.patches, store, progress)
        for choice in study.datasets:
            samples, folder = opened(choice)
            datasets[_title(choice)] = samples
            _check_task(choice, samples, plugins.named)
            _check_border_objects(choice, samples, study)
            check_unlabelled(samples)
            pool = None
            if any(generator.plugin.uses_unlabelled for generator in plugins.generators):
                elsewhere = [each.samples for each in test_sets if each.folder != folder]
                pool = UnlabelledPool(samples, choice.split.group, store, progress, elsewhere)
            conditions.extend(_conditions(choice, samples, folder, study, pool, scaler))
            for generator in plugins.generators:
                with errors_named("generator", generator.plugin.name, generator.title):
                    only = replace(plugins, generators=(generator,))
                    existing |= find_existing_samples(hosts, _title(choice), samples, only, store, progress)
    _check_distinct(conditions)
    study, plugins = with_seeds_of_existing(study, plugins, existing, explicit=seeds_given)
    for condition in conditions:
        if condition.real_only:
            _check_condition(condition, plugins.segmenters)
            continue
        _check_condition(condition, plugins.named)
        check_existing_samples(condition, study, plugins, existing)
    inits = [segmenter.init for segmenter in plugins.segmenters if segmenter.init]
    for init in inits:
        check_init_data(init, conditions, store, progress)
    check_test_sets(test_sets, conditions, datasets, store, progress)
    check_against_inits(test_sets, inits, store, progress)
    conditions = with_init_scales(conditions, plugins.segmenters, scaler)
    return Resolved(
        study,
        tuple(conditions),
        plugins.generators,
        plugins.segmenters,
        plugins.joint,
        encoder,
        weights,
        existing,
        repeated_training_images(plugins.segmenters, conditions, datasets, store, progress),
        test_sets,
        existing_copies(test_sets, existing, store, progress),
    )


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


def _check_border_objects(choice: DatasetConfig, samples: SampleSet, study: Study) -> None:
    """Raise `ConfigError` if objects at the image border shall be left out where there are no objects."""
    if study.border_objects == "exclude" and samples.task == "semantic":
        raise ConfigError(
            f"border_objects: exclude leaves out objects, but dataset {choice.name!r} has classes of pixels (task "
            "'semantic'); remove the key, or the dataset"
        )


def _check_distinct(conditions: Sequence[Condition]) -> None:
    """Raise `ConfigError` if two conditions couldn't be told apart in a table."""
    folders: dict[str, Path] = {}
    seen: set[tuple[str, int, int]] = set()
    keys = "fractions, real_only" if any(condition.real_only for condition in conditions) else "fractions"
    for condition in conditions:
        if folders.setdefault(condition.dataset, condition.folder) != condition.folder:
            raise ConfigError(
                f"datasets: two are called {condition.dataset!r}; keep one of them under another name by "
                "'synthbench dataset add PATH --name NAME'"
            )
        place = condition.dataset, condition.fold, len(condition.train)
        if place in seen:
            raise ConfigError(
                f"{keys}: two of them come to {len(condition.train)} images of {condition.dataset!r}; leave one out"
            )
        seen.add(place)


def _conditions(
    choice: DatasetConfig,
    samples: SampleSet,
    folder: Path,
    study: Study,
    pool: UnlabelledPool | None,
    scaler: Scaler,
) -> list[Condition]:
    if (annotated := len(labelled_samples(samples))) < SMALLEST:
        raise DataError(
            f"dataset {choice.name!r} has {annotated} annotated sample(s); it takes at least {SMALLEST}: "
            "one each to train, to validate and to test"
        )
    conditions = []
    for fold, split in enumerate(split_dataset(choice, samples)):
        unlabelled = pool.without(split) if pool else UnlabelledImages()
        parts = samples.subset(split.train), samples.subset(split.validation)
        scaling = scaler.find(*parts, f"dataset {choice.name!r}")
        for number, amount in enumerate(study.real_amounts):
            chosen = take_fraction(samples, split.train, amount, seed=choice.split.seed)
            conditions.append(
                Condition(
                    dataset=_title(choice),
                    folder=folder,
                    fold=fold,
                    split=split,
                    train=samples.subset(chosen),
                    validation=parts[1],
                    test=samples.subset(split.test),
                    unlabelled=unlabelled,
                    origins=origins_of(choice, samples),
                    scaling=scaling,
                    real_only=number >= len(study.fractions),
                )
            )
    return conditions


def _title(choice: DatasetConfig) -> str:
    return Path(choice.name).expanduser().resolve().name


def _check_condition(condition: Condition, choices: Sequence[StudyPlugin]) -> None:
    if not any(entry.objects for entry in condition.train.entries):
        raise DataError(
            f"{condition.label}: no training image has any object (all background); there is nothing to learn"
        )
    for choice in choices:
        if choice.plugin.budget.get("steps"):
            check_scaled_sizes(condition.train, choice.plugin.budget["patch_size"], condition.scaling)
            if choice.plugin.uses_unlabelled:
                check_scaled_sizes(condition.unlabelled.samples, choice.plugin.budget["patch_size"], condition.scaling)
        if choice.plugin.uses_unlabelled:
            check_kinds(condition.unlabelled.samples, condition.train, condition.dataset)
        _check_groups(condition, choice)
        _check_ignore(condition, choice)


def _check_groups(condition: Condition, choice: StudyPlugin) -> None:
    """Raise `ConfigError` if a training image lacks a group that a plugin's configuration names."""
    for name in choice.plugin.required_groups:
        lacking = [entry.id for entry in condition.train.entries if not entry.groups.get(name)]
        if not lacking:
            continue
        known = sorted({group for entry in condition.train.entries for group in entry.groups})
        some = f"{len(lacking)} training image(s), the first {lacking[0]!r}, of " if name in known else ""
        raise ConfigError(
            f"{choice.plugin.kind} {choice.title!r}: {some}dataset {condition.dataset!r} "
            f"{'have' if some else 'has'} no group {name!r}; its groups are: {', '.join(known) or 'none'}"
        )


def _check_ignore(condition: Condition, choice: StudyPlugin) -> None:
    """Raise `ConfigError` if a plugin would take pixels without a known label for background."""
    kind = choice.plugin.kind
    seen = (condition.train, condition.validation) if kind == "segmenter" else (condition.train,)
    if not choice.plugin.supports_ignore and any(samples.has_ignored for samples in seen):
        raise ConfigError(
            f"{kind} {choice.title!r} would take the ignored pixels of dataset {condition.dataset!r} for background; "
            "take it out of the study, or crop the images to what is labelled"
        )


def in_hash_order(samples: SampleSet, count: int) -> SampleSet:
    """Return `count` samples in an order that has nothing to do with the set's own: by the SHA-256 of the ids."""
    rank: Callable[[str], str] = lambda name: hashlib.sha256(name.encode()).hexdigest()  # noqa: E731
    return samples.subset(sorted(samples.ids, key=rank)[:count])
