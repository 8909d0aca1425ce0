"""One small run with trained models, for all tests that use them outside of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import synthbench
from helpers.blobs import blobs
from helpers.trial import trial_plugins
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store


@dataclass(frozen=True)
class Made:
    """A finished run and its store; `data` is its dataset."""

    data: Path
    run: Path
    store: Store

    @property
    def study(self) -> Path:
        return self.run / "study.yaml"


def run_study(folder: Path, **changes: object) -> Made:
    """Run a study of trial plugins on twelve pictures of 64² pixels, a third of which are test images."""
    data = folder / "blobs"
    samples = [blobs(number) for number in range(12)]
    groups = [{"split": "test" if number % 3 == 2 else "train"} for number in range(12)]
    SampleSet.of(Sample(s.id, s.image, s.labels, g) for s, g in zip(samples, groups, strict=True)).save(data)
    study = {
        "name": "trial",
        "datasets": [str(data)],
        "generators": ["duplicate", {"name": "brighter", "config": {"gain": 1.3}}],
        "segmenters": ["threshold"],
        "encoder": "moments",
        "synthetic": [4],
        "seeds": 2,
        "generator_seeds": 2,
        "budget": "smoke",
        **changes,
    }
    store, run = folder / "store", folder / "trial"
    synthbench.run(study, store=store, folder=run, engine="serial", device="cpu")
    return Made(data, run, Store(store))


@pytest.fixture(autouse=True)
def trial_plugins_are_installed(trial_registry: None) -> None:
    """Every test here looks at what trial plugins made."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Made:
    """A run of two generators of two seeds, and of one segmenter of two seeds."""
    with trial_plugins(trial_site):
        return run_study(tmp_path_factory.mktemp("inference"))


@pytest.fixture(scope="session")
def scaled(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Made:
    """A run whose images were scaled to objects of 8 pixels."""
    folder = tmp_path_factory.mktemp("scaled")
    with trial_plugins(trial_site):
        return run_study(folder, generators=["brighter"], seeds=1, generator_seeds=1, scale=8)
