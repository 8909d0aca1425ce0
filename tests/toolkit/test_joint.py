"""Image and mask as planes of one picture: they come back, and what is no object is removed and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthbench.errors import StoreError
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.joint import Joint


@pytest.mark.parametrize("form", ["distance", "grey"])
def test_planes_come_back_as_image_and_objects(blob_set: SampleSet, form: str) -> None:
    joint = Joint.of(blob_set, form, 6)
    for position, sample in enumerate(blob_set):
        planes = np.concatenate(joint.encode(sample, position))
        assert len(planes) == joint.planes
        image, labels, removed = joint.decode(planes, position)
        assert image.dtype == sample.image.dtype
        assert image.shape == sample.image.shape
        assert labels.max() + removed >= len(np.unique(sample.labels)) - 1 - 1
        assert ((labels > 0) == (sample.labels > 0)).mean() > 0.97


def test_classes_come_back_exactly() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (16, 16)).astype(np.int32)
    train = SampleSet.of(
        [Sample("a", np.full((16, 16), 9, np.uint8), labels)], task="semantic", classes=("a", "b", "c")
    )
    joint = Joint.of(train, "distance", 4)
    assert (joint.form, joint.masks) == ("classes", 3)
    _, back, removed = joint.decode(np.concatenate(joint.encode(train[0], 0)), 0)
    assert np.array_equal(back, labels)
    assert removed == 0


def test_giants_and_specks_are_removed_and_counted(blob_set: SampleSet) -> None:
    joint = Joint.of(blob_set, "grey", 2)
    side = int(np.sqrt(joint.largest)) + 20
    planes = np.full((joint.planes, side + 10, side + 10), -1.0, np.float32)
    planes[-1, :side, :side] = 1.0
    planes[-1, -1, -1] = 1.0
    _, labels, removed = joint.decode(planes, 0)
    assert labels.max() == 0
    assert removed >= 1


def test_what_was_saved_comes_back_whole(blob_set: SampleSet, tmp_path: Path) -> None:
    joint = Joint.of(blob_set, "distance", 4)
    joint.save(tmp_path / "joint.json")
    assert Joint.load(tmp_path / "joint.json") == joint
    (tmp_path / "joint.json").write_text('{"form": "distance"}')
    with pytest.raises(StoreError, match=r"joint\.json"):
        Joint.load(tmp_path / "joint.json")
