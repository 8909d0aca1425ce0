"""A board of trial plugins, and runs that take part in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.blobs import blobs
from synthbench.bundle.writing import write_bundle
from synthbench.runner import Machine, run_study
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.model import load_study


@dataclass(frozen=True)
class Place:
    """A board, the dataset that it is on, and bundles of runs.

    Attributes
    ----------
    data, board : Path
    first, brighter, again : Path
        Bundles: the board's first entry (with `duplicate` and `brighter`), one with another configuration of
        `brighter` and without a baseline of its own, and one of the same generator and seeds from a third store.
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


def run_bundle(folder: Path, name: str, study: Mapping[str, Any], known: Collection[str] = ()) -> Path:
    """Run a study with a store of its own, and return the bundle; `known`: see `synthbench.runner.run_study`."""
    run, store = folder / "runs" / name, Store(folder / f"store-{name}")
    machine = Machine("serial", device="cpu")
    run_study(load_study({**study, "name": name}), store, run, machine, Console(quiet=True), known=known)
    bundle = folder / f"{name}.zip"
    write_bundle(run, store, bundle)
    return bundle
