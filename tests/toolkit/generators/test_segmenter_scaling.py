"""Images of a generator, as segmenters see images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthbench import Budget, Sample, SampleSet, TrainingMix
from synthbench.toolkit.generators.segmenter_scaling import SegmenterScaling
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training.patches import PatchStream

BUDGET = Budget(steps=3, batch_size=2, patch_size=32)
CPU = torch.device("cpu")


@pytest.fixture(params=["grey", "colour"])
def train(request: pytest.FixtureRequest, blob_set: SampleSet) -> SampleSet:
    if request.param == "grey":
        return blob_set
    weights = np.array([1.0, 0.6, 0.3])
    coloured = [Sample(s.id, (s.image[..., None] * weights).astype(np.uint8), s.labels) for s in blob_set]
    return SampleSet.of(coloured, name="colour")


def test_a_real_image_looks_as_the_patch_stream_shows_it_to_segmenters(train: SampleSet) -> None:
    codec = ImageMaskCodec.of(train, "distance", 1)
    shown = PatchStream(TrainingMix(train), BUDGET, seed=4)
    planes = PatchStream(
        TrainingMix(train),
        BUDGET,
        seed=4,
        augment_intensity=False,
        encode=lambda sample: codec.encode(sample, train.position(sample.id)),
    )
    scaling = SegmenterScaling(train, codec, CPU)
    for step in range(BUDGET.steps):
        images = torch.from_numpy(planes.batch(step)[0])
        slots = [shown.slot(slot) for slot in range(2 * step, 2 * step + 2)]
        scaled, real = scaling(images, slots).numpy(), shown.batch(step)[0]
        inside = (images.numpy() > -1) & (images.numpy() < 1)
        assert inside.mean() > 0.9
        assert np.abs(scaled - real)[inside].max() < 2e-3


def test_gradients_are_finite_everywhere(train: SampleSet) -> None:
    codec = ImageMaskCodec.of(train, "distance", 1)
    slots = [PatchStream(TrainingMix(train), BUDGET, seed=4).slot(slot) for slot in range(2)]
    ramp = torch.linspace(-1.5, 1.5, 32).expand(2, codec.image_planes, 32, 32).clone().requires_grad_()
    SegmenterScaling(train, codec, CPU)(ramp, slots).sum().backward()
    assert ramp.grad is not None
    assert bool(ramp.grad.isfinite().all())
    assert float(ramp.grad.abs().max()) > 0
