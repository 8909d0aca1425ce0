"""A board and its site: built once, looked at by many tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthbench
from helpers.blobs import blobs
from helpers.bundles import study
from helpers.site import QUESTION, Made
from helpers.trial import trial_plugins
from synthbench.board.creating import new_board
from synthbench.bundle.writing import write_bundle
from synthbench.samples import Sample, SampleSet
from synthbench.site.building import Built, build_site
from synthbench.store import Store


@pytest.fixture(autouse=True)
def trial_plugins_are_installed(trial_registry: None) -> None:
    """Every test here looks at what trial plugins made."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Made:
    folder = tmp_path_factory.mktemp("site")
    samples = []
    for number in range(15):
        disc = blobs(number)
        groups = {"split": "test" if number % 3 == 2 else "train"}
        dim = np.where(disc.labels % 3 == 1, 0.45, 1.0)  # discs that only a low threshold finds
        samples.append(Sample(f"blob-{number}", (disc.image * dim).astype(np.uint8), disc.labels, groups))
    info = {"licence": "CC0-1.0", "source": "https://example.org/discs", "citation": "Nobody 2026"}
    data = folder / "discs"
    SampleSet.of(samples, info=info).save(data)
    run, store = folder / "trial", folder / "store"
    generators = ["duplicate", "shuffled", {"name": "brighter", "config": {"gain": 0.2, "noise": 12}}]
    asked = study(data, generators=generators, fractions=[4], real_only=[8], iou="mean")
    with trial_plugins(trial_site):
        synthbench.run(asked, store=store, folder=run, engine="serial", device="cpu")
        bundle = folder / "first.zip"
        write_bundle(run, Store(store), bundle)
        new_board(bundle, folder / "boards" / "discs", question=QUESTION, data=[str(data)])
    (folder / "boards" / "notes").mkdir()
    return Made(folder / "boards", bundle, data)


@pytest.fixture(scope="session")
def built(made: Made, tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Built:
    with trial_plugins(trial_site):
        return build_site(made.boards, tmp_path_factory.mktemp("built") / "site", [str(made.data)])


@pytest.fixture(scope="session")
def pages(built: Built) -> dict[str, str]:
    """The text of every page by its name."""
    return {
        path.relative_to(built.folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(built.folder.rglob("*.html"))
    }
