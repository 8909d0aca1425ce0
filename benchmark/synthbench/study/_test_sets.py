"""Test images of other datasets, out of domain: found, and checked to be no training images of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthbench.datasets.splits import Split
from synthbench.datasets.unlabelled import check_unlabelled
from synthbench.errors import ConfigError
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study._condition import Condition
from synthbench.study._copies import copies_between
from synthbench.study._dataset_sources import split_dataset
from synthbench.study._existing import ExistingSets
from synthbench.study._inits import Opener, ResolvedInit
from synthbench.study._origins import Origins, origins_of
from synthbench.study.model import DatasetConfig

__all__ = [
    "TestSet",
    "check_against_inits",
    "check_test_sets",
    "existing_copies",
    "open_test_sets",
    "test_sets_of",
]


@dataclass(frozen=True)
class TestSet:
    """The test images of a dataset that others are tested on.

    Attributes
    ----------
    dataset, folder
        Its title, and where its samples are.
    samples : SampleSet
        The test images of its split.
    split : Split
    origins : Origins
        The dataset, and those that its images come from.
    """

    dataset: str
    folder: Path
    samples: SampleSet
    split: Split
    origins: Origins


def open_test_sets(choices: Iterable[DatasetConfig], opened: Opener) -> tuple[TestSet, ...]:
    """Find the test images of the datasets that a study's segmenters are tested on beside their own."""
    found = []
    for choice in choices:
        samples, folder = opened(choice)
        check_unlabelled(samples)
        splits = split_dataset(choice, samples)
        if len(splits) > 1:
            raise ConfigError(
                f"test_on: {choice.name!r} is split into {len(splits)} folds, and a test on another dataset takes one "
                "set of images; give it a split of one fold, such as split: {scheme: holdout}"
            )
        title = Path(choice.name).expanduser().resolve().name
        test = samples.subset(splits[0].test)
        found.append(TestSet(title, folder, test, splits[0], origins_of(choice, samples)))
    return tuple(found)


def test_sets_of(condition: Condition, sets: Iterable[TestSet]) -> list[TestSet]:
    """Return those that are of another dataset than a condition's."""
    return [each for each in sets if each.folder != condition.folder]


def check_test_sets(
    sets: Sequence[TestSet],
    conditions: Sequence[Condition],
    datasets: Mapping[str, SampleSet],
    store: Store,
    progress: Progress,
) -> None:
    """Raise `ConfigError` unless segmenters of every condition can be tested on every set.

    Parameters
    ----------
    sets, conditions
    datasets
        The study's, by title.
    store
        Remembers which images are copies.
    progress
        Called while images are compared.
    """
    folders = {condition.dataset: condition.folder for condition in conditions}
    for each in sets:
        if folders.get(each.dataset, each.folder) != each.folder:
            raise ConfigError(
                f"test_on: two datasets are called {each.dataset!r}; keep one of them under another name by "
                "'synthbench dataset add PATH --name NAME'"
            )
        tested = [condition for condition in conditions if condition.folder != each.folder]
        if not tested:
            raise ConfigError(
                f"test_on: {each.dataset!r} is the dataset that the study trains on, whose test images are scored "
                "anyway; name another dataset, or leave test_on out"
            )
        for condition in tested:
            _check_task(each, condition)
        for title in dict.fromkeys(condition.dataset for condition in tested):
            _check_copies(each, title, conditions, datasets[title], store, progress)


def _check_task(tested: TestSet, condition: Condition) -> None:
    train = condition.train
    if (tested.samples.task, tested.samples.classes) != (train.task, train.classes):
        mine, other = (" ".join([s.task, *s.classes]) for s in (tested.samples, train))
        raise ConfigError(
            f"test_on: the task of {tested.dataset!r} is {mine}, and that of {condition.dataset!r} is {other}"
        )
    if tested.samples.channels != train.channels and {tested.samples.channels, train.channels} != {1, 3}:
        raise ConfigError(
            f"test_on: images of {tested.dataset!r} have {tested.samples.channels} channel(s), and those of "
            f"{condition.dataset!r} {train.channels}; a segmenter takes images with the channels that it is trained on"
        )


def _check_copies(
    tested: TestSet, title: str, conditions: Sequence[Condition], samples: SampleSet, store: Store, progress: Progress
) -> None:
    """Raise `ConfigError` if test images are copies of images that the study trains or validates with."""
    splits = [condition.split for condition in conditions if condition.dataset == title]
    used = {name for split in splits for name in (*split.train, *split.validation)}
    pool = samples.subset(sorted(used))
    if copies := copies_between(store, tested.samples, pool, progress):
        raise ConfigError(
            f"test_on: {len(copies)} of the test images of {tested.dataset!r} are copies of training or validation "
            f"images of {title!r}, the first {copies[0].image!r} of {copies[0].of!r}; take them out of one of the two"
        )


def check_against_inits(
    sets: Iterable[TestSet], inits: Iterable[ResolvedInit], store: Store, progress: Progress
) -> None:
    """Raise `ConfigError` if a segmenter would be trained first on what it is then tested on."""
    for init in inits:
        if (pretraining := init.pretraining) is None:
            continue
        for each in sets:
            for part in (pretraining.train, pretraining.validation):
                if copies := copies_between(store, part, each.samples, progress):
                    raise ConfigError(
                        f"init dataset:{pretraining.dataset}: {len(copies)} of its images are test images of "
                        f"{each.dataset!r} (test_on) or copies of them, the first {copies[0].image!r}; take them out "
                        "of one of the two"
                    )


def existing_copies(
    sets: Sequence[TestSet],
    existing: Mapping[tuple[str, str], ExistingSets],
    store: Store,
    progress: Progress,
) -> dict[tuple[str, str, str], int]:
    """Return how many existing samples are nearly copies of test images, by dataset, generator and test set.

    Raises
    ------
    ConfigError
        If one is a copy pixel by pixel.
    """
    found = {}
    for (dataset, generator), samples in existing.items():
        for each in sets:
            if each.dataset == dataset:
                continue
            copies = [c for made in samples.sets for c in copies_between(store, made, each.samples, progress)]
            if exact := [copy for copy in copies if copy.exact]:
                raise ConfigError(
                    f"generator {generator!r}: {len({copy.image for copy in exact})} of its images are test images of "
                    f"{each.dataset!r} (test_on), pixel by pixel, the first {exact[0].image!r}; remove them"
                )
            found[dataset, generator, each.dataset] = len({copy.image for copy in copies})
    return found
