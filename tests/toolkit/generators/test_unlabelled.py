"""Patches of unlabelled images beside labelled ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from synthbench import Budget, Config, Context, Sample, SampleSet
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.generators.unlabelled import UnlabelledConfig, is_unlabelled, mix_with_unlabelled
from synthbench.toolkit.training.batches import Batches
from synthbench.types import Planes

BUDGET = Budget(steps=6, batch_size=4, patch_size=32)


class Recorder(JointGenerator[UnlabelledConfig]):
    """Keeps the batches that it is trained on, and draws noise."""

    Config = UnlabelledConfig
    seen: list[tuple[bool, np.ndarray, np.ndarray]]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {}

    def build_networks(self) -> None:
        pass

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        self.seen = []
        for number in range(len(batches)):
            for k, (image, mask) in enumerate(zip(*batches[number], strict=True)):
                slot = batches.stream.slot(number * context.budget.batch_size + k)
                self.seen.append((slot.synthetic, image.numpy(), mask.numpy()))

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        return rng.standard_normal((self.codec.planes, self.patch_size, self.patch_size)).astype(np.float32)


@pytest.fixture(scope="module")
def unlabelled(blob_set: SampleSet) -> SampleSet:
    """Dark discs on bright ground."""
    everywhere = np.ones((64, 64), bool)
    return SampleSet.of(Sample(f"u-{s.id}", 255 - s.image, 0 * s.labels, ignore=everywhere) for s in blob_set[:5])


def recorded(train: SampleSet, unlabelled: SampleSet | None, **config: float) -> Recorder:
    generator = Recorder(UnlabelledConfig(**config))
    generator.fit(train, Context(seed=1, budget=BUDGET, unlabelled=unlabelled))
    return generator


def test_as_many_patches_are_unlabelled_as_asked_and_the_others_stay_what_they_were(
    blob_set: SampleSet, unlabelled: SampleSet
) -> None:
    alone, mixed = recorded(blob_set, None).seen, recorded(blob_set, unlabelled, unlabelled_ratio=0.25).seen
    assert [synthetic for synthetic, _, _ in mixed] == [False, False, False, True] * 6
    for (without, *expected), (is_added, image, mask) in zip(alone, mixed, strict=True):
        assert not without
        if is_added:
            assert not mask.any()
            assert np.median(image) > 0.5
        else:
            assert np.array_equal(image, expected[0])
            assert np.array_equal(mask, expected[1])


@pytest.mark.parametrize("config", [UnlabelledConfig(unlabelled_ratio=0), Config()])
def test_without_a_ratio_unlabelled_images_arent_used(
    blob_set: SampleSet, unlabelled: SampleSet, config: Config
) -> None:
    assert mix_with_unlabelled(blob_set, config, Context(unlabelled=unlabelled)).synthetic is None


def test_without_unlabelled_images_the_ratio_has_no_effect(blob_set: SampleSet) -> None:
    for none in (None, blob_set[:0]):
        assert mix_with_unlabelled(blob_set, UnlabelledConfig(), Context(unlabelled=none)).synthetic_ratio == 0


def test_an_image_is_unlabelled_if_no_pixel_has_a_label(blob_set: SampleSet, unlabelled: SampleSet) -> None:
    sample = blob_set[0]
    corner = np.zeros((64, 64), bool)
    corner[:8, :8] = True
    assert is_unlabelled(unlabelled[0])
    assert not is_unlabelled(sample)
    assert not is_unlabelled(Sample("a", sample.image, sample.labels, ignore=corner))
