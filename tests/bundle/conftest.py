"""One small run and its bundle, for all tests of bundles."""

from __future__ import annotations

from pathlib import Path

import pytest

import synthbench
from helpers.blobs import blobs
from helpers.bundles import Made, study
from helpers.trial import trial_plugins
from synthbench.bundle.writing import write_bundle
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store


def write_data(folder: Path, count: int = 12, first: int = 0) -> Path:
    samples = []
    for number in range(first, first + count):
        made = blobs(number)
        groups = {"split": "test" if number % 3 == 2 else "train", "well": f"w{number % 2}"}
        samples.append(Sample(f"blob-{number}", made.image, made.labels, groups))
    SampleSet.of(samples).save(folder)
    return folder


@pytest.fixture(autouse=True)
def trial_plugins_are_installed(trial_registry: None) -> None:
    """Every test here looks at what trial plugins made."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Made:
    """A finished run of four arms with two seeds, two of which share their tasks, and its bundle."""
    folder = tmp_path_factory.mktemp("bundles")
    data = write_data(folder / "blobs")
    run, store = folder / "trial", folder / "store"
    with trial_plugins(trial_site):
        synthbench.run(study(data), store=store, folder=run, engine="serial", device="cpu")
        bundle = folder / "trial.zip"
        write_bundle(run, Store(store), bundle)
    return Made(data, run, store, bundle)
