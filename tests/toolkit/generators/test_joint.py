"""Generators that draw image and mask together: what their base class does with planes that a method draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from synthbench import Budget, Config, Context, SampleSet
from synthbench.errors import StoreError
from synthbench.samples import MASK
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench.types import Planes


class Memory(JointGenerator[Config]):
    """Draws the first training patches, chosen at random."""

    random_stream = "memory"

    network: nn.Linear

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"memory": self.network}

    def build_networks(self) -> None:
        self.network = nn.Linear(4 * self.codec.planes * self.patch_size**2, 1, bias=False)

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        patches = torch.from_numpy(batches.stream.first_patches(4))
        self.network.weight.data = patches.reshape(1, -1)

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        side = self.patch_size
        patches = self.network.weight.detach().numpy().reshape(4, self.codec.planes, side, side)
        return np.asarray(patches[rng.integers(4)])


@pytest.fixture
def fitted(blob_set: SampleSet) -> Memory:
    generator = Memory()
    generator.fit(blob_set, Context(seed=1, budget=Budget(2, 2, 32)))
    return generator


def test_planes_become_a_sample_of_the_patch_size_and_are_counted(fitted: Memory, blob_set: SampleSet) -> None:
    first, again, other = (fitted.sample(index, 0) for index in (0, 0, 1))
    assert first.image.shape == first.labels.shape == (32, 32)
    assert first.image.dtype == blob_set[0].image.dtype
    assert (first.id, first.groups) == ("000000", {MASK: "new"})
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    assert fitted.counts["drawn"] == 3
    assert not fitted.network.training


def test_what_was_saved_draws_the_same(fitted: Memory, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"codec.json", "patch_size.txt", "memory.safetensors"}
    assert np.array_equal(Memory.load(tmp_path, Context()).sample(0, 3).image, fitted.sample(0, 3).image)
    (tmp_path / "patch_size.txt").write_text("wide")
    with pytest.raises(StoreError, match="patch_size"):
        Memory.load(tmp_path, Context())


@pytest.mark.parametrize(("planes", "problem"), [(lambda real: 0 * real, "flat"), (lambda real: real, "the same")])
def test_flat_planes_and_a_single_sample_are_a_mode_collapse(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch, planes, problem: str
) -> None:
    codec_planes: list[Planes] = []

    def draw(generator: Memory, donor: int, rng: np.random.Generator) -> Planes:
        codec_planes.append(np.concatenate(generator.encode(blob_set[0], 0))[:, :32, :32])
        return np.asarray(planes(codec_planes[-1]))

    monkeypatch.setattr(Memory, "draw_planes", draw)
    with pytest.raises(Diverged, match=problem):
        Memory().fit(blob_set, Context(seed=1, budget=Budget(2, 2, 32)))
    assert len(codec_planes) == 4  # as many as the training has patches
