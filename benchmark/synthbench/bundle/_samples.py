"""Drawn samples for a bundle: a few of each generator, but no copies of training images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from synthbench.bundle._originals import open_originals
from synthbench.datasets.copies import Looks, find_copies, looks_of
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.model import Study

__all__ = ["FEW", "FEW_BYTES", "drawn_samples"]

FEW = 4
"""Samples of each generator at most, unless all are wanted."""
FEW_BYTES = 700_000
"""Size of the files of these samples; the first one may be larger."""


def drawn_samples(
    store: Store, study: Study, sources: Mapping[str, Any], fidelity: pd.DataFrame, *, every: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of drawn samples, a sample set per drawing, and sentences on generators left out.

    A bundle holds no image of a dataset: samples of a generator are left out where some are duplicates of training
    images, according to `fidelity`, or where one of these samples has an image of the dataset, by its pixels or nearly,
    whatever its mask. They are also left out where the dataset isn't at hand to see that.

    Parameters
    ----------
    store, study, sources
    fidelity
        Table of `synthbench.results.Results`.
    every
        All samples of all drawings instead of the first of one drawing of each generator: `FEW`, or as many as have
        `FEW_BYTES` together.
    """
    copied = _copying(fidelity)
    files: dict[str, bytes] = {}
    notes: dict[str, str] = {}
    originals: dict[str, tuple[SampleSet, Looks] | None] = {}
    for row in _drawings(sources["trainings"], every=every):
        title, dataset = row["generator"], row["dataset"]
        if title in copied:
            notes[title] = f"no samples of {title}: {copied[title]} of them are duplicates of training images"
            continue
        if dataset not in originals:
            opened = open_originals(store, study, sources, dataset)
            originals[dataset] = None if opened is None else (opened, looks_of(opened))
        known = originals[dataset]
        if known is None:
            notes[title] = f"no samples of {title}: {dataset} isn't at hand, which shows whether they copy its images"
            continue
        found = SampleSet.open(store.get("draw", row["draw"]).folder / "samples")
        chosen = found if every else found[:FEW]
        if find_copies(chosen, known[0], known=known[1]):
            notes[title] = f"no samples of {title}: some are copies of images of {dataset}"
            continue
        files |= _written(chosen, title, row["draw"], None if every else FEW_BYTES)
    return files, [notes[title] for title in sorted(notes)]


def _written(samples: SampleSet, title: str, key: str, most: int | None) -> dict[str, bytes]:
    """Return the files of a sample set with as many of the first samples as `most` bytes hold: one or more."""
    count = len(samples)
    while True:
        files = {}
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "samples"
            SampleSet.write(folder, list(samples[:count]), name=title, task=samples.task, classes=samples.classes)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    files[f"samples/{key}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
        if most is None or count == 1 or sum(map(len, files.values())) <= most:
            return files
        count -= 1


def _drawings(trainings: Sequence[Mapping[str, Any]], *, every: bool) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each drawing; without `every` the first of each generator only."""
    seen = set()
    for row in trainings:
        name = row["draw"] if every else row["generator"]
        if row["draw"] and name not in seen:
            seen.add(name)
            yield row


def _copying(fidelity: pd.DataFrame) -> dict[str, int]:
    if "train_duplicates" not in fidelity:
        return {}
    counts = pd.to_numeric(fidelity["train_duplicates"]).groupby(fidelity["generator"]).sum()
    return {str(title): int(count) for title, count in counts.items() if count > 0}
