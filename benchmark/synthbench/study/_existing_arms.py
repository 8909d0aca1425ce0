"""Generators whose samples exist already, in a study: found, given seeds, and checked against what is tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from synthbench.plugin.api import Context, Progress
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._amounts import amount_of
from synthbench.study._condition import Condition
from synthbench.study._existing import ExistingSets, open_existing
from synthbench.study._hosts import Hosts
from synthbench.study._study_plugins import StudyPlugins
from synthbench.study.inputs import IMPORTED
from synthbench.study.model import Study

__all__ = ["check_existing_samples", "find_existing_samples", "with_seeds_of_existing"]


def find_existing_samples(
    hosts: Hosts,
    dataset: str,
    samples: SampleSet,
    plugins: StudyPlugins,
    store: Store,
    progress: Progress,
) -> dict[tuple[str, str], ExistingSets]:
    """Return the samples of generators that exist already, by titles of dataset and generator."""
    found = {}
    for generator in plugins.generators:
        if not generator.plugin.has_existing:
            continue
        ask = partial(hosts.existing_samples, plugins.entries[generator.title], generator.plugin.config)
        context = Context(folder=store.root / IMPORTED, progress=progress)
        opened = open_existing(generator.title, dataset, samples, store, ask, context)
        if opened is not None:
            found[dataset, generator.title] = opened
    return found


def with_seeds_of_existing(
    study: Study, plugins: StudyPlugins, existing: Mapping[tuple[str, str], ExistingSets], *, explicit: bool
) -> tuple[Study, StudyPlugins]:
    """Return study and generators where one with existing samples has, unless told, a seed for each of its sets.

    Raises
    ------
    ConfigError
        If one has fewer sets than seeds.
    """
    sets = {title: found for (_, title), found in existing.items()}
    choices, chosen = {choice.title: choice for choice in study.generators}, list(plugins.generators)
    for number, generator in enumerate(plugins.generators):
        if (found := sets.get(generator.title)) is None:
            continue
        seeds = generator.seeds if explicit or choices[generator.title].seeds else len(found.sets)
        found.check_seeds(seeds)
        chosen[number] = replace(generator, seeds=seeds)
        choices[generator.title] = choices[generator.title].model_copy(update={"seeds": seeds})
    study = study.model_copy(update={"generators": list(choices.values())})
    return study, replace(plugins, generators=tuple(chosen))


def check_existing_samples(
    condition: Condition,
    study: Study,
    plugins: StudyPlugins,
    existing: Mapping[tuple[str, str], ExistingSets],
) -> None:
    """Raise an error if samples that exist already don't suit a condition, or show what it tests."""
    for generator in plugins.generators:
        if (found := existing.get((condition.dataset, generator.title))) is None:
            continue
        found.check_split(condition.split)
        found.check_kinds(condition.train)
        for amount in study.synthetic:
            found.check_amount(amount, amount_of(amount, len(condition.train)), len(condition.train), generator.seeds)
        for segmenter in plugins.segmenters:
            patch = segmenter.plugin.budget["patch_size"] if segmenter.plugin.budget.get("steps") else None
            found.check_segmenter(
                segmenter.title,
                patch,
                supports_ignore=segmenter.plugin.supports_ignore,
                scaling=condition.scaling,
            )
