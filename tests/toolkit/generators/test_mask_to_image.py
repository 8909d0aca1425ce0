"""The base of mask-to-image generators: batches, conditions, margins, sampling, files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.errors import StoreError
from synthbench.toolkit.generators.config import MaskToImageConfig
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.mode_collapse import Diverged

BUDGET = Budget(steps=3, batch_size=2, patch_size=32)


class Linear(MaskToImageGenerator[MaskToImageConfig]):
    """A 1×1 convolution of the condition."""

    Config = MaskToImageConfig
    random_stream = "tiny"
    trains_on_texture = True
    seen: list[torch.Tensor]

    def build_network(self) -> nn.Conv2d:
        return nn.Conv2d(self.condition_planes, self.codec.image_planes, 1)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> LinearTraining:
        return LinearTraining(self, batches)

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        self.seen = [condition]
        image: torch.Tensor = self.network(condition) + 0.1 * rng.standard_normal()
        return image


class LinearTraining:
    def __init__(self, generator: Linear, batches: ConditionedBatches) -> None:
        self.generator, self.batches = generator, batches
        self.optimiser = torch.optim.SGD(generator.network.parameters(), 0.1)

    @property
    def state(self) -> Mapping[str, State]:
        return {"network": self.generator.network, "optimiser": self.optimiser}

    def step(self, number: int) -> dict[str, torch.Tensor]:
        batch = self.batches[number]
        loss = (self.generator.network(self.generator.condition(batch.mask, batch.intensities)) - batch.image).abs()
        self.optimiser.zero_grad()
        loss.mean().backward()
        self.optimiser.step()
        return {"l1": loss.mean()}


@pytest.fixture
def fitted(blob_set: SampleSet) -> Callable[..., Linear]:
    def fit(train: SampleSet = blob_set, **config: bool) -> Linear:
        generator = Linear(MaskToImageConfig(**config))
        generator.fit(train, Context(seed=1, budget=BUDGET))
        return generator

    return fit


def test_keys_that_are_left_open_are_off() -> None:
    resolved = MaskToImageConfig(pixel_noise=True).resolve(BUDGET)
    assert (resolved.intensity_conditioning, resolved.pixel_noise, resolved.texture) == (False, True, False)


@pytest.mark.parametrize("config", [{}, {"intensity_conditioning": False}])
def test_texture_requires_intensity_conditioning(config: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="intensity_conditioning"):
        MaskToImageConfig(texture=True, **config).resolve(BUDGET)


def test_random_streams_are_named_after_the_class_unless_the_method_names_them() -> None:
    class Unnamed(Linear):
        random_stream = MaskToImageGenerator.random_stream

    assert Unnamed().random_stream == f"{__name__.partition('.')[0]}.Unnamed"
    assert Linear().random_stream == "tiny"


def test_a_batch_has_what_belongs_to_its_images(fitted: Callable[..., Linear], blob_set: SampleSet) -> None:
    """Mask, intensities, pixel noise and texture, with as many planes as the configuration has."""
    for config in ({}, {"pixel_noise": True}, {"intensity_conditioning": True, "texture": True}):
        generator = fitted(**config)
        batch = ConditionedBatches(generator, blob_set, Context(seed=1, budget=BUDGET))[0]
        assert batch.image.shape == (2, 1, 32, 32)
        assert batch.mask.shape[1] == generator.codec.mask_planes
        assert batch.intensities.shape[1] == generator.conditioning.planes
        assert bool(batch.pixel_noise.any()) == bool(config.get("pixel_noise"))
        assert (batch.texture.shape[1] > 0) == bool(config.get("texture"))
        condition = generator.condition(batch.mask, batch.intensities)
        assert condition.shape[1] == generator.condition_planes


def test_images_are_drawn_with_a_mirrored_margin_that_is_cropped(
    fitted: Callable[..., Linear], blob_set: SampleSet
) -> None:
    generator = fitted()
    labels = blob_set[0].labels
    intensities = generator.conditioning.training_planes(labels, 0)
    image = generator.image_planes(labels, intensities, np.random.default_rng(0))
    assert image.shape == (1, *labels.shape)
    expected = np.pad(generator.codec.encode_mask(labels), [(0, 0), (16, 16), (16, 16)], mode="symmetric")
    assert np.array_equal(generator.seen[0][0].numpy(), expected)


def test_samples_follow_from_seed_and_index_and_count_what_was_lost(fitted: Callable[..., Linear]) -> None:
    generator = fitted()
    assert generator.counts == {}
    expected = [sample.digest for sample in generator.sample_batch(range(4), 3)]
    assert [generator.sample(i, 3).digest for i in (2, 0)] == [expected[2], expected[0]]
    assert generator.sample(0, 4).digest != expected[0]
    assert generator.counts["drawn"] == 7
    assert {"drawn", "removed", "unplaced"} >= set(generator.counts)


def test_what_is_loaded_samples_the_same(fitted: Callable[..., Linear], tmp_path: Path) -> None:
    generator = fitted(intensity_conditioning=True, pixel_noise=True, texture=True)
    generator.save(tmp_path)
    loaded = Linear.load(tmp_path, Context(seed=9))
    assert not loaded.network.training
    assert loaded.sample(1, 0).digest == generator.sample(1, 0).digest
    (tmp_path / "generator.safetensors").write_bytes(b"")
    with pytest.raises(StoreError, match=r"generator\.safetensors"):
        Linear.load(tmp_path, Context())


def test_flat_images_are_a_failure(fitted: Callable[..., Linear], blob_set: SampleSet) -> None:
    generator = fitted()
    nn.init.zeros_(generator.network.weight)
    with pytest.raises(Diverged, match="flat"):
        generator.check_images(blob_set, 0)
