"""The datasets of a study: opened where they lie, imported, or built by their plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from synthbench.datasets import library, splits
from synthbench.datasets.split_files import read_splits
from synthbench.environments.plugins import find_plugin, has_plugin
from synthbench.errors import ConfigError
from synthbench.plugin.api import Context, Progress
from synthbench.samples import SampleSet
from synthbench.store import Store, key_of
from synthbench.study._hosts import Hosts
from synthbench.study.inputs import IMPORTED
from synthbench.study.model import DatasetConfig
from synthbench.study.provenance import task_content

__all__ = ["open_dataset", "split_dataset"]


def open_dataset(
    hosts: Hosts, choice: DatasetConfig, store: Store, progress: Progress, notify: Callable[[str], None]
) -> tuple[SampleSet, Path]:
    """Return a dataset's samples and their folder.

    A plugin's is the library's, where it was added with this configuration; else it is built into the store. Any other
    is opened or imported.
    """
    if not choice.environment and not has_plugin("dataset", choice.name):
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
    entry = find_plugin("dataset", choice.name, choice.environment)
    described = hosts.fingerprint(entry, choice.config)
    if added := library.find_built(choice.name, described.config):
        _check_dataset_config(choice, added[0])
        return added
    content = task_content("dataset", {"plugin": described.content()}, code=described.code["dataset"])
    key = key_of(content)
    with store.locked("dataset", key):
        found = store.find("dataset", key)
        if found is None:
            notify(hosts.download_terms(entry, described.config))
            folder = store.begin("dataset", key)
            context = Context(folder=store.work_folder("dataset", key), progress=progress)
            hosts.build_dataset(entry, described.config, folder / "samples", context)
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
    if choice.fingerprint and choice.fingerprint != samples.fingerprint:
        raise ConfigError(
            f"dataset {choice.name!r}: its fingerprint is {samples.fingerprint[:12]}…, expected "
            f"{choice.fingerprint[:12]}…: images, labels or groups are others than those of the study; give the ones "
            "that it was made with"
        )


def split_dataset(choice: DatasetConfig, samples: SampleSet) -> Sequence[splits.Split]:
    """Return the splits of a dataset, one for each fold."""
    if choice.split.file:
        return [split.check(samples, choice.split.group) for split in read_splits(choice.split.file)]
    return splits.make_splits(samples, **choice.split.model_dump(exclude={"file"}))
