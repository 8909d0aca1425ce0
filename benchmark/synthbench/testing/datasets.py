"""The contract of datasets, promise by promise."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import NotDownloaded
from synthbench.plugin.api import Context, Dataset
from synthbench.samples import Sample
from synthbench.testing.check_results import Finding, Skipped, demand, doing, examine
from synthbench.testing.harness import SEED, stirred
from synthbench.testing.shared_checks import check_config

FIRST = 6
"""How many samples are looked at."""

SPLITS = ("train", "validation", "test")


def check_dataset(
    cls: type[Dataset], *, task: str = "instances", config: Mapping[str, Any] | None = None
) -> list[Finding]:
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
    list of Finding
        One per check, in order. A dataset that has to be downloaded first is not: its samples are skipped. Any other
        reason why no valid sample comes is a violation.
    """
    return list(examine_dataset(cls, task, config))


def examine_dataset(cls: type[Dataset], task: str, config: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield the findings of `check_dataset` as they come."""
    with tempfile.TemporaryDirectory(prefix="synthbench-check-") as folder:
        yield from examine(CHECKS, _DatasetBench(cls, task, Path(folder), dict(config or {})))


class _DatasetBench:
    def __init__(self, cls: type[Dataset], task: str, folder: Path, keys: dict[str, Any]) -> None:
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
            with doing("samples(context)"):
                found = list(itertools.islice(dataset.samples(Context(seed=SEED, folder=self.folder)), FIRST))
        except AssertionError as violation:
            if isinstance(violation.__cause__, NotDownloaded):
                self._failed = False
                raise Skipped(f"its samples can't be had here: {violation.__cause__}") from None
            raise
        for sample in found:
            demand(
                isinstance(sample, Sample), f"samples(context) yielded {type(sample).__name__}, not synthbench.Sample"
            )
        demand(found, "samples(context) yielded nothing")
        return found


# -- the promises -----------------------------------------------------------------------------------------------------


def configuration_is_declared(bench: _DatasetBench) -> None:
    """Config is a synthbench.Config: every key has a default, unknown keys are refused, JSON brings it back."""
    check_config(bench.cls, bench.keys)


def origin_is_named(bench: _DatasetBench) -> None:
    """Source, licence and citation say where the samples come from and what may be done with them."""
    for name in ("source", "licence", "citation"):
        value = getattr(bench.cls, name)
        demand(isinstance(value, str) and value.strip(), f"{bench.cls.__name__}.{name} is {value!r}: say it in a line")


def classes_fit_the_task(bench: _DatasetBench) -> None:
    """A semantic dataset names its classes, background first; an instance dataset has none."""
    classes = bench.cls.classes
    if bench.task == "semantic":
        demand(len(classes) >= 2, f"{bench.cls.__name__}.classes is {classes!r}: name the classes, background first")
        top = max(int(sample.labels.max()) for sample in bench.first())
        demand(top < len(classes), f"a label map holds class {top}, and {len(classes)} classes are named")
    else:
        demand(not classes, f"{bench.cls.__name__}.classes is {classes!r}, and its task is instances: leave it empty")


def samples_are_annotated(bench: _DatasetBench) -> None:
    """samples yields valid samples: images that differ and show something, and masks that aren't all empty."""
    found = bench.first()
    for sample in found:
        demand(np.ptp(sample.image) > 0, f"the image of sample {sample.id!r} is {int(sample.image.flat[0])} all over")
    demand(any(sample.labels.any() for sample in found), f"the masks of the first {len(found)} samples are all empty")
    pixels = {sample.image.tobytes() for sample in found}
    demand(len(found) == 1 or len(pixels) > 1, f"the first {len(found)} samples are all the same image")


def order_is_fixed(bench: _DatasetBench) -> None:
    """samples yields the same samples in the same order each time, whatever the global random state."""
    expected = [sample.digest for sample in bench.first()]
    with stirred(5):
        found = [sample.digest for sample in bench.read()]
    demand(
        found == expected,
        "samples(context) yields other samples the second time: draw from a fixed seed, and sort what is listed",
    )


def ids_are_unique(bench: _DatasetBench) -> None:
    """No two samples have the same id."""
    ids = [sample.id for sample in bench.first()]
    for name in ids:
        demand(ids.count(name) == 1, f"the id {name!r} occurs {ids.count(name)} times")


def splits_have_their_names(bench: _DatasetBench) -> None:
    """Official splits are in groups["split"], and are called train, validation and test."""
    for sample in bench.first():
        split = sample.groups.get("split", "train")
        demand(split in SPLITS, f"sample {sample.id!r} is in the split {split!r}; the names are {', '.join(SPLITS)}")


CHECKS = (
    configuration_is_declared,
    origin_is_named,
    samples_are_annotated,
    classes_fit_the_task,
    order_is_fixed,
    ids_are_unique,
    splits_have_their_names,
)
