"""Drawn samples for a bundle: a few of each generator, but no copies of training images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from synthbench.results.sources import dataset_of
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store

__all__ = ["FEW", "drawn_samples"]

FEW = 4
"""Samples of each generator, unless all are wanted."""


def drawn_samples(
    store: Store, sources: Mapping[str, Any], fidelity: pd.DataFrame, *, every: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of drawn samples, a sample set per drawing, and sentences on generators left out.

    A bundle holds no image of a dataset: samples of a generator are left out where some are duplicates of training
    images, according to `fidelity` or to the digests of the dataset.

    Parameters
    ----------
    store, sources
    fidelity
        Table of `synthbench.results.Results`.
    every
        All samples of all drawings instead of the first `FEW` of one drawing of each generator.
    """
    copied = _copying(fidelity)
    files: dict[str, bytes] = {}
    notes: dict[str, str] = {}
    for row in _drawings(sources["trainings"], every=every):
        title = row["generator"]
        if title in copied:
            notes[title] = f"no samples of {title}: {copied[title]} of them are duplicates of training images"
            continue
        artifact = store.get("draw", row["draw"])
        found = SampleSet.open(artifact.folder / "samples")
        chosen = list(found if every else found[:FEW])
        if _is_copy(chosen, dataset_of(sources["datasets"][row["dataset"]], row["dataset"])):
            notes[title] = f"no samples of {title}: some are copies of images of {row['dataset']}"
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "samples"
            SampleSet.write(folder, chosen, name=title, task=found.task, classes=found.classes)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    files[f"samples/{row['draw']}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return files, [notes[title] for title in sorted(notes)]


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


def _is_copy(drawn: Sequence[Sample], dataset: SampleSet) -> bool:
    """Whether a drawn sample has image and labels of a sample of the dataset, whose digest tells without its pixels."""
    for sample in drawn:
        for entry in dataset.entries:
            alike = (*sample.image.shape[:2], sample.image.dtype.name) == (entry.height, entry.width, entry.dtype)
            if alike and replace(sample, id=entry.id, groups=entry.groups).digest == entry.digest:
                return True
    return False
