"""The contract of datasets, check by check."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import NotDownloaded
from synthbench.plugin.api import Context, Dataset
from synthbench.samples import UNLABELLED, Sample
from synthbench.testing._harness import SEED, perturbed_global_rng
from synthbench.testing._shared_checks import check_config, methods_are_implemented
from synthbench.testing.check_results import CheckResult, Skipped, plugin_call, require, run_checks_in_folder

__all__ = ["check_dataset", "iter_dataset_checks"]

FIRST = 6
"""How many samples are looked at."""

SPLITS = ("train", "validation", "test", UNLABELLED)


def check_dataset(
    cls: type[Dataset[Any]], *, task: str = "instances", config: Mapping[str, Any] | None = None
) -> list[CheckResult]:
    """Try a dataset's class against the contract, by its first samples.

    Parameters
    ----------
    cls
    task
        The task its spec claims.
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of CheckResult
        One per check, in order. A dataset that has to be downloaded first is not: its samples are skipped. Any other
        reason why no valid sample comes is a failure.
    """
    return list(iter_dataset_checks(cls, task, config))


def iter_dataset_checks(cls: type[Dataset[Any]], task: str, config: Mapping[str, Any] | None) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_dataset` as they come."""
    return run_checks_in_folder(CHECKS, lambda folder: _DatasetHarness(cls, task, folder, dict(config or {})))


class _DatasetHarness:
    def __init__(self, cls: type[Dataset[Any]], task: str, folder: Path, keys: dict[str, Any]) -> None:
        self.cls, self.task, self.folder, self.keys = cls, task, folder, keys
        self._first: list[Sample] | None = None
        self._failed = False

    def first(self) -> list[Sample]:
        """Return the first samples; skip where they would have to be downloaded."""
        if self._failed:
            raise Skipped("samples(context) failed above")
        if self._first is None:
            self._failed = True
            self._first = self.read()
            self._failed = False
        return self._first

    def read(self) -> list[Sample]:
        dataset = self.cls(self.cls.Config(**self.keys))
        remotes: Sequence[Any] = getattr(dataset, "remotes", tuple)()
        if remotes:
            self._failed = False
            raise Skipped(f"it would download {remotes[0].url}; import it first: synthbench dataset add NAME")
        try:
            with plugin_call("samples(context)"):
                found = list(itertools.islice(dataset.samples(Context(seed=SEED, folder=self.folder)), FIRST))
        except AssertionError as failure:
            if isinstance(failure.__cause__, NotDownloaded):
                self._failed = False
                raise Skipped(f"its samples can't be had here: {failure.__cause__}") from None
            raise
        for sample in found:
            require(
                isinstance(sample, Sample), f"samples(context) yielded {type(sample).__name__}, not synthbench.Sample"
            )
        require(found, "samples(context) yielded nothing")
        return found


# -- the checks -------------------------------------------------------------------------------------------------------


def configuration_is_declared(harness: _DatasetHarness) -> None:
    """Config is a synthbench.Config: keys have defaults, unknown ones are refused, it survives a JSON round trip."""
    check_config(harness.cls, harness.keys)


def origin_is_named(harness: _DatasetHarness) -> None:
    """Source, licence and citation say where the samples come from and what may be done with them."""
    for name in ("source", "licence", "citation"):
        value = getattr(harness.cls, name)
        require(
            isinstance(value, str) and value.strip(), f"{harness.cls.__name__}.{name} is {value!r}: say it in a line"
        )


def classes_fit_the_task(harness: _DatasetHarness) -> None:
    """A semantic dataset names its classes, background first; an instance dataset has none."""
    classes = harness.cls.classes
    if harness.task == "semantic":
        require(len(classes) >= 2, f"{harness.cls.__name__}.classes is {classes!r}: name the classes, background first")
        top = max(int(sample.labels.max()) for sample in harness.first())
        require(top < len(classes), f"a label map holds class {top}, and {len(classes)} classes are named")
    else:
        require(
            not classes, f"{harness.cls.__name__}.classes is {classes!r}, and its task is instances: leave it empty"
        )


def samples_are_annotated(harness: _DatasetHarness) -> None:
    """samples yields valid samples: images that differ and show something, and masks that aren't all empty."""
    found = harness.first()
    for sample in found:
        require(np.ptp(sample.image) > 0, f"the image of sample {sample.id!r} is {int(sample.image.flat[0])} all over")
    require(any(sample.labels.any() for sample in found), f"the masks of the first {len(found)} samples are all empty")
    pixels = {sample.image.tobytes() for sample in found}
    require(len(found) == 1 or len(pixels) > 1, f"the first {len(found)} samples are all the same image")


def order_is_fixed(harness: _DatasetHarness) -> None:
    """samples yields the same samples in the same order each time, whatever the global random state."""
    expected = [sample.digest for sample in harness.first()]
    with perturbed_global_rng(5):
        found = [sample.digest for sample in harness.read()]
    require(
        found == expected,
        "samples(context) yields other samples the second time: draw from a fixed seed, and sort what is listed",
    )


def ids_are_unique(harness: _DatasetHarness) -> None:
    """No two samples have the same id."""
    ids = [sample.id for sample in harness.first()]
    for name in ids:
        require(ids.count(name) == 1, f"the id {name!r} occurs {ids.count(name)} times")


def splits_have_their_names(harness: _DatasetHarness) -> None:
    """Official splits are in groups["split"], and are called train, validation, test and unlabelled."""
    for sample in harness.first():
        split = sample.groups.get("split", "train")
        whole = sample.ignore is not None and bool(sample.ignore.all())
        require(split != UNLABELLED or whole, f"sample {sample.id!r} is unlabelled, but not all of it is ignored")
        require(split in SPLITS, f"sample {sample.id!r} is in the split {split!r}; the names are {', '.join(SPLITS)}")


CHECKS = (
    methods_are_implemented,
    configuration_is_declared,
    origin_is_named,
    samples_are_annotated,
    classes_fit_the_task,
    order_is_fixed,
    ids_are_unique,
    splits_have_their_names,
)
