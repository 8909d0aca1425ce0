"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from synthbench.samples import Sample, SampleSet

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotated micrographs, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("SYNTHBENCH_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real micrographs at {folder}; set SYNTHBENCH_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def shared_fixtures(real_data: Path) -> Path:
    """The folder of raw files and recorded predictions beside the real micrographs."""
    folder = real_data.parent / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}")
    return folder


def blobs(seed: int, size: int = 64, count: int = 6, *, rgb: bool = False, dtype: str = "uint8") -> Sample:
    """A picture of `count` bright discs, some of them touching, with their label map."""
    rng = np.random.default_rng((20, seed))
    yy, xx = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint16)
    for label in range(1, count + 1):
        y, x, radius = *rng.uniform(6, size - 6, 2), rng.uniform(4, 8)
        labels[((yy - y) ** 2 + (xx - x) ** 2 < radius**2) & (labels == 0)] = label
    top = np.iinfo(dtype).max
    light = 0.1 + 0.6 * (labels > 0) + 0.03 * rng.standard_normal(labels.shape)
    image = (np.clip(light, 0, 1) * top).astype(dtype)
    if rgb:
        image = np.stack([image, image // 2, top - image], axis=-1)
    return Sample(f"blobs-{seed}", image, labels)


@pytest.fixture(scope="session")
def blob_set() -> SampleSet:
    """Twelve small pictures of discs."""
    return SampleSet.of([blobs(seed) for seed in range(12)], name="blobs")


@pytest.fixture(scope="session")
def semantic_set() -> SampleSet:
    """Eight small pictures whose label map gives the class of each pixel: background, disc."""
    samples = [blobs(seed) for seed in range(8)]
    flat = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in samples]
    return SampleSet.of(flat, name="discs", task="semantic", classes=("background", "disc"))
