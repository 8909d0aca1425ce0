"""What is kept of a set of images comes back as it was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from synthbench.engine.tasks.encode import load_features, run, save_features
from synthbench.metrics.feature_set import FeatureSet
from synthbench.plugin.api import Context, Encoder
from synthbench.samples import Sample, SampleSet


@pytest.mark.parametrize("labelled", [True, False])
def test_what_was_seen_is_stored_and_read_back(labelled: bool, blob_set: SampleSet, tmp_path: Path) -> None:
    samples = [*blob_set, Sample("empty", np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8))]
    seen = FeatureSet()
    for sample in samples:
        seen.add(sample.id, sample.image, sample.labels if labelled else None, origin="new" if len(seen.names) else "")
    seen.features = np.arange(3.0 * len(samples)).reshape(-1, 3)
    save_features(seen, tmp_path)
    back = load_features(tmp_path)
    assert back.names == seen.names
    assert np.array_equal(back.features, seen.features)
    assert np.array_equal(back.thumbnails, seen.thumbnails)
    assert back.mask_origins == seen.mask_origins
    assert (
        len(back.mask_measures) == len(back.mask_thumbnails) == len(back.residuals) == (len(samples) if labelled else 0)
    )
    for one, other in zip(back.residuals, seen.residuals, strict=True):
        assert np.array_equal(one.texture, other.texture)
        assert np.array_equal(one.brightness, other.brightness)
        assert one.effective_objects == other.effective_objects
    assert all(map(np.array_equal, back.mask_thumbnails, seen.mask_thumbnails))
    for one, other in zip(back.mask_measures, seen.mask_measures, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    part = back.take([2, 0])
    assert part.names == [samples[2].id, samples[0].id]
    assert np.array_equal(part.features, seen.features[[2, 0]])


class Means(Encoder):
    def encode(self, images):
        return np.array([[image.mean()] for image in images])

    def fingerprint(self):
        return "means"


def test_masks_are_measured_without_their_ignore_region(blob_set: SampleSet, tmp_path: Path) -> None:
    region = np.zeros(blob_set[0].labels.shape, bool)
    region[:16] = True
    samples = SampleSet.of([Sample(s.id, s.image, s.labels, ignore=region) for s in blob_set])
    content = {"images": {}, "encoder": {"name": "means", "config": {}}, "weights": "means"}
    work = SimpleNamespace(
        task=SimpleNamespace(content=content),
        enter_stage=lambda _: None,
        load_plugin=lambda *_: Means,
        open_real=lambda _: samples,
        plugin_context=Context(),
        folder=tmp_path,
    )
    run(work)
    covered = [float(measures["covered"][0]) for measures in load_features(tmp_path).mask_measures]
    assert covered == pytest.approx([(s.labels[16:] > 0).mean() for s in blob_set])
