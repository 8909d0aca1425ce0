"""A study of images of two channels, from files to tables, report and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import synthbench
from helpers.stains import stains
from synthbench.datasets.importing import prepare_import
from synthbench.samples import SampleSet, read_array


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """Twelve composites of ImageJ with their label maps."""
    for sample in stains(12, 2):
        for part in ("images", "labels"):
            (tmp_path / "tissue" / part).mkdir(parents=True, exist_ok=True)
        planes = np.moveaxis(sample.image, -1, 0)
        file = tmp_path / "tissue" / "images" / f"{sample.id}.tif"
        tifffile.imwrite(file, planes, imagej=True, metadata={"axes": "CYX"})
        tifffile.imwrite(tmp_path / "tissue" / "labels" / file.name, sample.labels)
    return tmp_path / "tissue"


@pytest.mark.slow
def test_two_channels_go_through_a_whole_study(stacks: Path, tmp_path: Path) -> None:
    prepare_import(stacks, channels=("nuclear", "membrane")).write(tmp_path / "set")
    study = {
        "name": "channels",
        "datasets": [{"name": str(tmp_path / "set")}],
        "generators": [{"name": "pix2pix", "config": {"ngf": 8, "ndf": 8, "num_downs": 3}}, "copy-paste"],
        "segmenters": ["unet"],
        "synthetic": [4],
        "seeds": 1,
        "budget": "smoke",
        "encoder": "untrained",
    }
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert run.failed == 0
    assert set(run.table()["arm"]) == {"real", "real + pix2pix × 4", "real + copy-paste × 4"}
    results = synthbench.load_results(run.folder)
    assert len(results.fidelity) == 2
    assert np.isfinite(results.fidelity["fd"]).all()
    drawn = [SampleSet.open(index.parent) for index in (tmp_path / "store" / "draw").rglob("samples.json")]
    assert {samples.channels for samples in drawn} == {2}
    assert all(sample.image.dtype == np.uint16 for samples in drawn for sample in samples)
    run.write_report()
    pictures = [read_array(file) for file in (run.folder / "pictures").glob("*.png")]
    left = [picture[:, : (picture.shape[1] - 4) // 2, :3].astype(int) for picture in pictures]
    assert pictures
    assert all(np.ptp(picture, axis=2).max() > 50 for picture in left), "the channels have colours"
