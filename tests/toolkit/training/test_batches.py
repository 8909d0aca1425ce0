"""Batches: the stream's own patches, wherever they are cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthbench.plugin.api import Budget, TrainingMix
from synthbench.samples import SampleSet
from synthbench.toolkit.training.batches import Batches, DeviceCache
from synthbench.toolkit.training.patches import PatchStream


@pytest.fixture(params=[True, False], ids=["augment_intensity", "plain"])
def stream(blob_set: SampleSet, request: pytest.FixtureRequest) -> PatchStream:
    mix = TrainingMix(blob_set[:8], blob_set[8:], synthetic_ratio=0.25)
    return PatchStream(mix, Budget(steps=6, batch_size=4, patch_size=32), seed=5, augment_intensity=request.param)


def test_batches_on_a_cpu_are_the_streams_own(stream: PatchStream) -> None:
    batches = Batches(stream, "cpu")
    assert len(list(batches)) == len(batches) == 6
    for step, (images, targets) in enumerate(batches):
        expected = stream.batch(step)
        assert images.dtype == torch.float32
        assert images.shape == (4, 1, 32, 32)
        np.testing.assert_array_equal(images.numpy(), expected[0])
        np.testing.assert_array_equal(targets.numpy(), expected[1])


@pytest.mark.parametrize("room", [2**30, 50_000, 0], ids=["all fit", "some fit", "none fits"])
def test_patches_cut_on_a_device_are_those_cut_in_numpy(stream: PatchStream, room: int) -> None:
    resident = DeviceCache(stream, torch.device("cpu"), room)
    for step in range(len(stream) // 4):
        images, targets = resident.batch(step)
        expected = stream.batch(step)
        np.testing.assert_allclose(images.numpy(), expected[0], rtol=2e-6, atol=1e-6)
        np.testing.assert_array_equal(targets.numpy(), expected[1])


def test_any_step_can_be_asked_for_first(stream: PatchStream) -> None:
    late = Batches(stream, "cpu")[5][0]
    assert torch.equal(late, list(Batches(stream, "cpu"))[5][0])
    with pytest.raises(IndexError):
        Batches(stream, "cpu")[6]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_patches_cut_on_a_gpu_are_those_cut_in_numpy(stream: PatchStream) -> None:
    for step, (images, targets) in enumerate(Batches(stream, "cuda")):
        expected = stream.batch(step)
        np.testing.assert_allclose(images.cpu().numpy(), expected[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(targets.cpu().numpy(), expected[1])
