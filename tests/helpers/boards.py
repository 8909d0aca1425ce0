"""A board of trial plugins, and runs that take part in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import synthbench
from helpers.blobs import blobs
from synthbench.bundle.writing import write_bundle
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store


@dataclass(frozen=True)
class Place:
    """A board, the dataset that it is on, and bundles of runs.

    Attributes
    ----------
    data, board : Path
    first, brighter, again : Path
        Bundles: the board's first entry (with `duplicate` and `brighter`), one with another configuration of
        `brighter` from another store, and one of the same generator and seeds from a third store.
    runs : Path
        Folder of their run folders.
    stores : dict of str to Path
    """

    data: Path
    board: Path
    first: Path
    brighter: Path
    again: Path
    runs: Path
    stores: dict[str, Path]


def write_data(folder: Path, count: int = 15) -> Path:
    """Write blobs, of which every third image is a test image."""
    samples = []
    for number in range(count):
        made = blobs(number)
        samples.append(
            Sample(f"blob-{number}", made.image, made.labels, {"split": "test" if number % 3 == 2 else "train"})
        )
    SampleSet.of(samples).save(folder)
    return folder


def run_bundle(folder: Path, name: str, study: Mapping[str, Any]) -> Path:
    """Run a study with a store of its own, and return the bundle."""
    run, store = folder / "runs" / name, folder / f"store-{name}"
    synthbench.run({**study, "name": name}, store=store, folder=run, engine="serial", device="cpu")
    bundle = folder / f"{name}.zip"
    write_bundle(run, Store(store), bundle)
    return bundle
