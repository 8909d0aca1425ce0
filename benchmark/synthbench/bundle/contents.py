"""The parts of a bundle or a run folder, read and validated: study, plan, sources, splits and tables."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd

from synthbench.bundle import layout
from synthbench.bundle._privacy import without_paths
from synthbench.bundle.findings import content_of
from synthbench.bundle.reading import BundleFile, Refused
from synthbench.datasets.fractions import take_fraction
from synthbench.datasets.split_files import read_splits
from synthbench.datasets.splits import Split
from synthbench.errors import DataError, SynthbenchError
from synthbench.results import TABLES, Results, checking, load_results
from synthbench.results.sources import FORMAT as SOURCES_FORMAT
from synthbench.results.sources import dataset_of, read_sources
from synthbench.samples import SampleSet
from synthbench.study.model import DatasetConfig, Study

__all__ = ["TRAINING", "Contents", "read_contents", "read_run", "training_of"]

TRAINING = (
    *("dataset", "tested_on", "fold", "fraction", "arm", "generator", "synthetic", "segmenter"),
    *("generator_seed", "seed"),
)
"""What tells the trainings of a run and their test sets apart: columns of ``runs`` and ``images``."""
_HINT = "get the bundle again from who made it"


@dataclass(frozen=True)
class Contents:
    """What a bundle, or a run folder, holds beside images.

    Attributes
    ----------
    study : Study
    plan : mapping
        Key → ``kind``, ``label`` and ``content``.
    trainings : list of mapping
        See `synthbench.results.sources.sources_of`.
    datasets : mapping
        Title → samples without pixels.
    fingerprints : mapping
        Title → the fingerprint that the bundle states of the dataset.
    splits : mapping
        Title → a split per fold.
    results : Results
    """

    study: Study
    plan: Mapping[str, Mapping[str, Any]]
    trainings: list[dict[str, Any]]
    datasets: Mapping[str, SampleSet]
    fingerprints: Mapping[str, str]
    splits: Mapping[str, tuple[Split, ...]]
    results: Results

    def choice(self, title: str) -> DatasetConfig:
        """Return what the study says of a dataset; raise `DataError` if it doesn't name it."""
        for choice in (*self.study.datasets, *self.study.test_on):
            if Path(choice.name).name == title:
                return choice
        raise DataError(f"{layout.STUDY}: names no dataset {title!r}, expected as in {layout.SOURCES}")

    def real_images(self, title: str, fold: int) -> dict[float, tuple[str, ...]]:
        """Return the identifiers of the real training images that each amount of the study means in a dataset."""
        samples, split = self.datasets[title], self.splits[title][fold]
        seed = self.choice(title).split.seed
        amounts = self.study.real_amounts
        return {amount: take_fraction(samples, split.train, amount, seed=seed) for amount in amounts}

    def test_ids(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the identifiers of the test images of a training."""
        fold = row["fold"] if row["tested_on"] == row["dataset"] else 0
        return self.splits[row["tested_on"]][fold].test


def training_of(row: Mapping[str, Any] | pd.Series) -> tuple[Any, ...]:
    """Return what identifies the training of a row, of JSON or of a table."""
    return tuple(_identifier(row[name]) for name in TRAINING)


def _identifier(value: Any) -> str | int | None:
    if isinstance(value, str):
        return value
    return None if value is None or value != value else int(value)


def read_contents(file: BundleFile) -> Contents:
    """Read the parts of a bundle.

    The few texts that a run folder has go through a temporary folder, under names of our own, to be read as those of a
    run folder are.

    Raises
    ------
    DataError
        If one is missing, damaged or contradicts itself; the message begins with its name in the bundle.
    Refused
        If one can't be decompressed; see `BundleFile.read`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            return _read(file, folder)
        except Refused:
            raise
        except SynthbenchError as error:
            raise DataError(_without(str(error), folder)) from None


def read_run(run: Path) -> Contents:
    """Read the parts of a run folder that a bundle of it would have; paths in its study are replaced by names.

    Raises
    ------
    DataError
        If it is no run folder, its run isn't finished, or a part is missing or damaged.
    """
    results = load_results(run)
    sources = read_sources(run)
    study = Study.model_validate(without_paths(results.study))
    datasets = {title: dataset_of(about, title) for title, about in sources["datasets"].items()}
    splits = {title: read_splits(run / layout.split_file(title)) for title in datasets}
    fingerprints = {title: str(about["fingerprint"]) for title, about in sources["datasets"].items()}
    try:
        plan = json.loads((run / layout.PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise DataError(
            f"{run / layout.PLAN}: can't be read; the same 'synthbench run' command writes it again"
        ) from None
    return Contents(study, plan, sources["trainings"], datasets, fingerprints, splits, replace(results, study=study))


def _without(message: str, folder: Path) -> str:
    return message.replace(f"{folder}/", "").replace(str(folder), "bundle").removesuffix(f"; {_HINT}")


def _read(file: BundleFile, folder: Path) -> Contents:
    with content_of(layout.SOURCES):
        sources = file.json(layout.SOURCES)
        if sources["format"] != SOURCES_FORMAT:
            raise DataError(f"{layout.SOURCES}: format is {sources['format']!r}, expected {SOURCES_FORMAT}")
        datasets = {title: dataset_of(about, title) for title, about in sources["datasets"].items()}
        fingerprints = {title: str(about["fingerprint"]) for title, about in sources["datasets"].items()}
    splits = {title: _splits(file.json(layout.split_file(title)), samples) for title, samples in datasets.items()}
    with content_of(layout.SOURCES):
        for row in sources["trainings"]:
            _check_row(row, splits)
    with content_of(layout.PLAN):
        plan = file.json(layout.PLAN)
        for key, task in plan.items():
            if not all(isinstance(task[name], kind) for name, kind in _OF_TASK):
                raise DataError(f"{layout.PLAN}: task {key[:12]!r} has no kind, label and content")
    results = _results(file, folder)
    return Contents(results.study, plan, sources["trainings"], datasets, fingerprints, splits, results)


def _splits(content: Any, samples: SampleSet) -> tuple[Split, ...]:
    name = layout.split_file(samples.name)
    with content_of(name):
        found = tuple(Split(**row) for row in content["splits"])
        for split in found:
            for ids in split.parts.values():
                for unknown in set(ids) - set(samples.ids):
                    raise DataError(f"{name}: has {unknown!r}, expected an image of {layout.SOURCES}")
    return found


_OF_TASK = (("kind", str), ("label", str), ("content", dict))
_KINDS: dict[type | tuple[type, ...], tuple[str, ...]] = {
    str: ("dataset", "tested_on", "arm", "generator", "segmenter", "schedule", "init", "fit", "evaluate"),
    int: ("fold", "fraction", "synthetic", "seed"),
    (int, float): ("synthetic_ratio",),
    (int, NoneType): ("generator_seed",),
    (str, NoneType): ("draw", "fit_generator"),
}


def _check_row(row: Mapping[str, Any], splits: Mapping[str, tuple[Split, ...]]) -> None:
    for kinds, names in _KINDS.items():
        for name in names:
            if not isinstance(row[name], kinds) or isinstance(row[name], bool):
                raise DataError(f"{layout.SOURCES}: {name} of a training is {str(row[name])[:80]!r}, not of its type")
    for title in (row["dataset"], row["tested_on"]):
        if title not in splits:
            raise DataError(f"{layout.SOURCES}: a training is on {title!r}, expected one of {', '.join(splits)}")
    if row["fold"] not in range(len(splits[row["dataset"]])):
        raise DataError(f"{layout.SOURCES}: a training has the fold {row['fold']}, which {row['dataset']!r} hasn't")


def _results(file: BundleFile, folder: Path) -> Results:
    """Load study and tables; whether they are those that the run sealed is another check."""
    (folder / "results").mkdir()
    for name in (layout.STUDY, *(layout.table_file(name) for name in TABLES)):
        (folder / name).write_bytes(file.read(name))
    checking.seal(folder / "results", [f"{name}.csv" for name in TABLES])
    return load_results(folder, _HINT)
