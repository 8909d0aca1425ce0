"""What segmenters start from: weights drawn from the seed, a file of weights, or a training on another dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthbench.datasets.splits import Split
from synthbench.datasets.weights_card import read_card
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Progress
from synthbench.plugin.registry import Registered
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._condition import Condition
from synthbench.study._copies import copies_between
from synthbench.study._hosts import Hosts
from synthbench.study._origins import Origins, origins_of
from synthbench.study.inputs import weights_digest
from synthbench.study.model import BudgetConfig, DatasetConfig, InitConfig, PluginConfig
from synthbench.study.provenance.plugins import PluginFingerprint

__all__ = [
    "AS_PUBLISHED",
    "NOT_DECLARED",
    "NOT_SEEN",
    "ORIGIN_NOT_DECLARED",
    "Opener",
    "Pretraining",
    "ResolvedInit",
    "check_init_data",
    "resolve_init",
]

NOT_DECLARED = "not declared"
ORIGIN_NOT_DECLARED = "origin not declared"
NOT_SEEN = "no"

AS_PUBLISHED = " (as published)"
"""End of the title of a segmenter that isn't trained at all."""

Opener = Callable[[DatasetConfig], tuple[SampleSet, Path]]
"""Opens a dataset of a study: its samples, and their folder."""

Splitter = Callable[[DatasetConfig, SampleSet], Sequence[Split]]
"""Divides a dataset of a study."""


@dataclass(frozen=True)
class Pretraining:
    """A training on another dataset, before that on the study's.

    Attributes
    ----------
    dataset, folder
        Its title, and where its samples are.
    train, validation : SampleSet
    plugin : PluginFingerprint
        The segmenter, with the budget of this training.
    """

    dataset: str
    folder: Path
    train: SampleSet
    validation: SampleSet
    plugin: PluginFingerprint


@dataclass(frozen=True)
class ResolvedInit:
    """What a segmenter starts from, found and checked.

    Attributes
    ----------
    title : str
        What tables call it.
    file : Path or None
        Published weights: a file, or a folder.
    digest : str
        SHA-256 of the file, or of the folder's files with their names.
    pretraining : Pretraining or None
    trained_on : Origins
        Datasets that the weights have seen.
    """

    title: str
    file: Path | None = None
    digest: str = ""
    pretraining: Pretraining | None = None
    trained_on: Origins = field(default_factory=Origins)

    def seen(self, tested: Origins) -> str:
        """Return which of the datasets that test images come from the weights have seen; `NOT_SEEN` if none.

        `NOT_DECLARED` where nobody says what they were trained on, `ORIGIN_NOT_DECLARED` where nobody says which
        datasets the test images come from.
        """
        if both := self.trained_on.names & tested.names:
            return ", ".join(sorted(both))
        if self.pretraining is not None:  # a start with copies of test images is refused, see `check_init_data`
            return NOT_SEEN
        if not self.trained_on.declared:
            return NOT_DECLARED
        return NOT_SEEN if tested.declared or not self.trained_on.names else ORIGIN_NOT_DECLARED


def resolve_init(
    hosts: Hosts,
    entry: Registered,
    choice: PluginConfig,
    init: InitConfig,
    budget: BudgetConfig,
    open_dataset: Opener,
    make_splits: Splitter,
) -> ResolvedInit | None:
    """Find what a segmenter starts from; None for weights drawn from the seed.

    Parameters
    ----------
    hosts
    entry, choice
        The segmenter, and what the study says of it.
    init
    budget
        The segmenter's.
    open_dataset, make_splits

    Raises
    ------
    ConfigError, PluginError, DataError
        If the segmenter can't start so, or there is nothing to start from.
    """
    owner = f"segmenter {choice.title!r}"
    fingerprint = hosts.fingerprint(entry, choice.config, budget)
    if fingerprint.requires_init and init.file is None:
        raise ConfigError(
            f"{owner} can't start from scratch: {fingerprint.requires_init}; give it a file of weights: init: PATH"
        )
    if init.is_scratch:
        return None
    way = "file" if init.file is not None else "model"
    if way not in fingerprint.supports_init:
        what = "a file of weights" if way == "file" else "a training on another dataset"
        raise ConfigError(
            f"{owner} can't start from {what} ({init.title!r}); give it an init of its own: init: scratch"
        )
    if init.file is not None:
        return _from_file(hosts, entry, choice, init, owner)
    assert init.dataset is not None
    samples, folder = open_dataset(init.dataset)
    split = make_splits(init.dataset, samples)[0]
    held_out = () if _has_test_split(init.dataset, samples) else split.test
    pretraining = Pretraining(
        dataset=Path(init.dataset.name).expanduser().resolve().name,
        folder=folder,
        train=samples.subset([name for name in samples.ids if name in {*split.train, *held_out}]),
        validation=samples.subset(split.validation),
        plugin=hosts.fingerprint(entry, choice.config, init.budget or _trained(budget)),
    )
    _check_pretraining(pretraining, samples, owner)
    return ResolvedInit(init.title, pretraining=pretraining, trained_on=origins_of(init.dataset, samples))


def _trained(budget: BudgetConfig) -> BudgetConfig:
    """Return a budget with its name's own number of steps, if it has none."""
    return budget if budget.steps != 0 else budget.model_copy(update={"steps": None})


def _from_file(hosts: Hosts, entry: Registered, choice: PluginConfig, init: InitConfig, owner: str) -> ResolvedInit:
    path = Path(str(init.file)).expanduser()
    if not path.exists():
        raise ConfigError(f"{owner}: init: {path}: no such file; give scratch, the path of a file, or dataset:NAME")
    if not path.is_file() and not path.is_dir():
        raise ConfigError(f"{owner}: init: {path}: is neither a file nor a folder; give the path of a file of weights")
    hosts.check_init(entry, choice.config, path.resolve())
    declared = init.trained_on if init.trained_on is not None else read_card(path, choice.name).trained_on
    return ResolvedInit(
        init.title,
        file=path.resolve(),
        digest=weights_digest(path),
        trained_on=Origins.of(declared),
    )


def _has_test_split(choice: DatasetConfig, samples: SampleSet) -> bool:
    """Whether the dataset's own split, or a frozen one, says which images are for testing: these stay out."""
    return choice.split.file is not None or any(entry.groups.get("split") == "test" for entry in samples.entries)


def _check_pretraining(pretraining: Pretraining, samples: SampleSet, owner: str) -> None:
    plugin, name = pretraining.plugin, pretraining.dataset
    if samples.task not in plugin.tasks:
        raise ConfigError(f"{owner} can't do task {samples.task!r} of dataset {name!r}, which it is to start from")
    if not any(entry.objects for entry in pretraining.train.entries):
        raise DataError(f"init dataset:{name}: no training image has any object; there is nothing to learn")
    if not plugin.supports_ignore and (pretraining.train.has_ignored or pretraining.validation.has_ignored):
        raise ConfigError(f"{owner} would take the ignored pixels of dataset {name!r} for background")


def check_init_data(init: ResolvedInit, conditions: Iterable[Condition], store: Store, progress: Progress) -> None:
    """Raise `ConfigError` if a segmenter would be trained first on what it is then tested on, or do another task.

    Parameters
    ----------
    init, conditions
    store
        Remembers which images are copies.
    progress
        Called while images are compared.
    """
    pretraining = init.pretraining
    if pretraining is None:
        return
    for condition in conditions:
        if pretraining.folder == condition.folder:
            raise ConfigError(
                f"init dataset:{pretraining.dataset}: the study tests on this dataset; use another, or make a study "
                "of its own for each dataset"
            )
        if pretraining.train.task != condition.train.task:
            raise ConfigError(
                f"init dataset:{pretraining.dataset}: its task is {pretraining.train.task!r}, and that of "
                f"{condition.dataset!r} is {condition.train.task!r}"
            )
        parts = (pretraining.train, pretraining.validation)
        if copies := [copy for part in parts for copy in copies_between(store, part, condition.test, progress)]:
            raise ConfigError(
                f"init dataset:{pretraining.dataset}: {len(copies)} of its images are copies of test images of "
                f"{condition.dataset!r}, the first {copies[0].image!r} of {copies[0].of!r}; take them out of one of "
                "the two"
            )
