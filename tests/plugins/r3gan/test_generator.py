"""R3GAN: losses, schedules, what is drawn, and trainings that go on."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synthbench import Budget, Context, Sample, SampleSet, Stopped
from synthbench.errors import ConfigError
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench_r3gan.config import R3GanConfig
from synthbench_r3gan.generator import R3Gan
from synthbench_r3gan.losses import discriminator_loss, generator_loss, gradient_penalty
from synthbench_r3gan.networks import Discriminator, GeneratorNetwork
from synthbench_r3gan.training import R3GanTraining

SMALL: dict[str, Any] = {"channel_max": 16, "channel_base": 128, "z_dim": 8}
HALVES = {"cell_type": {"bright": 0.5, "dark": 0.5}}


def fitted(
    train: SampleSet, *, steps: int = 3, batch: int = 4, patch: int = 32, context: dict | None = None, **config: Any
) -> R3Gan:
    generator = R3Gan(R3GanConfig(**{**SMALL, **config}))
    generator.fit(train, Context(seed=1, budget=Budget(steps, batch, patch), **(context or {})))
    return generator


def pixels(generator: R3Gan, seed: int = 0) -> list[bytes]:
    return [sample.image.tobytes() + sample.labels.tobytes() for sample in generator.sample_batch(range(4), seed)]


@pytest.fixture(scope="module")
def typed_set(blob_set: SampleSet) -> SampleSet:
    """Bright discs on dark ground, and as many dark ones on bright ground."""
    kinds = ["bright", "dark"] * 6
    return SampleSet.of(
        Sample(s.id, s.image if kind == "bright" else 255 - s.image, s.labels, {"cell_type": kind})
        for s, kind in zip(blob_set, kinds, strict=True)
    )


@pytest.fixture(scope="module")
def unlabelled(blob_set: SampleSet) -> SampleSet:
    """Images without labels, of no known cell type."""
    nothing, unknown = np.zeros((64, 64), np.int32), np.ones((64, 64), bool)
    return SampleSet.of(Sample(f"u{k}", s.image[:64, :64], nothing, {}, unknown) for k, s in enumerate(blob_set))


def training(gamma: float = 2.0, *, with_unlabelled: bool = False, **config: Any) -> R3GanTraining:
    torch.manual_seed(0)
    resolved = R3GanConfig(**{**SMALL, "gamma": gamma, **config}).resolve(Budget(101, 4, 16))
    network = GeneratorNetwork([8, 8], 1, 8, 2, 1, factor=2)
    return R3GanTraining(
        resolved,
        network,
        Discriminator([8, 8], 1, 2, factor=2),
        copy.deepcopy(network).requires_grad_(False),
        image_discriminator=Discriminator([8, 8], 1, 1, factor=2) if with_unlabelled else None,
        image_planes=1,
        steps=101,
        batch_size=4,
        random=torch.Generator().manual_seed(0),
    )


# -- losses and schedules ---------------------------------------------------------------------------------------------


def test_losses_compare_pairs_of_real_and_drawn_patches() -> None:
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 1.0])
    differences = np.array([0.5, -3.0])
    assert float(discriminator_loss(real, fake)) == pytest.approx(np.log1p(np.exp(-differences)).mean(), rel=1e-6)
    assert float(generator_loss(real, fake)) == pytest.approx(np.log1p(np.exp(differences)).mean(), rel=1e-6)


def test_the_penalty_is_the_squared_norm_of_the_gradient() -> None:
    """Of scores w · x², the gradient is 2 w x."""
    planes = torch.randn(3, 2, 4, 4, requires_grad=True)
    weight = torch.randn(2, 4, 4, requires_grad=True)
    penalty = gradient_penalty((weight * planes**2).sum(dim=(1, 2, 3)), planes)
    expected = (2 * weight * planes).square().sum(dim=(1, 2, 3)).mean()
    assert float(penalty.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    penalty.backward()
    assert torch.allclose(weight.grad, (8 * weight * planes**2).mean(dim=0), atol=1e-5)


def test_both_penalties_are_part_of_every_step() -> None:
    steps = training()
    real, classes = torch.randn(4, 2, 16, 16), torch.zeros(4, dtype=torch.int64)
    for number in (0, 1, 50):
        losses = steps.step(number, real, classes)
        assert set(losses) == {"d_loss", "r1_penalty", "r2_penalty", "g_loss"}
        assert float(losses["r1_penalty"].detach()) > 0
        assert float(losses["r2_penalty"].detach()) > 0


def test_values_change_by_half_a_cosine() -> None:
    steps = training(learning_rate=2e-4, aug_p=0.3, ema_half_life=0.025)
    first, middle, last = (steps.scheduled(number) for number in (0, 50, 100))
    assert first == pytest.approx({"gamma": 2, "learning_rate": 2e-4, "beta2": 0.9, "aug_p": 0, "half_life": 0})
    assert last == pytest.approx(
        {"gamma": 0.2, "learning_rate": 5e-5, "beta2": 0.99, "aug_p": 0.3, "half_life": 0.025 * 404}
    )
    assert middle == pytest.approx({name: (first[name] + last[name]) / 2 for name in first})
    steps.step(50, torch.randn(4, 2, 16, 16), torch.zeros(4, dtype=torch.int64))
    for optimiser in (steps.opt_d, steps.opt_g):
        group = optimiser.param_groups[0]
        assert (group["lr"], *group["betas"]) == pytest.approx((middle["learning_rate"], 0.0, middle["beta2"]))


def test_the_average_forgets_by_its_half_life() -> None:
    steps = training(ema_half_life=0.5)
    real, classes = torch.randn(4, 2, 16, 16), torch.zeros(4, dtype=torch.int64)
    steps.step(0, real, classes)  # half-life 0: the average is the network
    before = [weight.clone() for weight in steps.average.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, steps.network.parameters(), strict=True))
    steps.step(100, real, classes)
    stays = 0.5 ** (4 / (0.5 * 404))
    for now, old, new in zip(steps.average.parameters(), before, steps.network.parameters(), strict=True):
        assert torch.allclose(now, stays * old + (1 - stays) * new, atol=1e-6)


# -- unlabelled images ------------------------------------------------------------------------------------------------


def test_masks_of_unlabelled_patches_have_no_effect_and_their_images_have_one() -> None:
    real, classes = (
        torch.randn((4, 2, 16, 16), generator=torch.Generator().manual_seed(1)),
        torch.zeros(4, dtype=torch.int64),
    )
    labelled = torch.tensor([True, False, True, False])

    def weights(real: torch.Tensor) -> dict[str, bytes]:
        steps = training(with_unlabelled=True)
        steps.step(0, real, classes, labelled)
        return {
            f"{net}.{name}": value.numpy().tobytes()
            for net in ("network", "discriminator", "image_discriminator")
            for name, value in getattr(steps, net).state_dict().items()
        }

    before, other_mask, other_image = weights(real), real.clone(), real.clone()
    other_mask[1, 1], other_image[1, 0] = 5.0, 0.5
    assert weights(other_mask) == before
    changed = {name.split(".")[0] for name, value in weights(other_image).items() if value != before[name]}
    assert changed == {"network", "image_discriminator"}


def test_the_discriminator_of_images_has_the_same_losses_and_a_batch_may_be_without_labels() -> None:
    steps = training(with_unlabelled=True)
    real, classes = torch.randn(4, 2, 16, 16), torch.zeros(4, dtype=torch.int64)
    joint = {"d_loss", "r1_penalty", "r2_penalty", "g_loss"}
    alone = {f"image_{name}" for name in joint}
    losses = steps.step(0, real, classes, torch.tensor([True, False, False, False]))
    assert set(losses) == joint | alone
    assert float(losses["image_r1_penalty"].detach()) > 0
    before = [weight.clone() for weight in steps.discriminator.parameters()]
    assert set(steps.step(1, real, classes, torch.zeros(4, dtype=torch.bool))) == alone
    assert all(torch.equal(a, b) for a, b in zip(before, steps.discriminator.parameters(), strict=True))


def test_without_unlabelled_images_nothing_changes(typed_set: SampleSet, unlabelled: SampleSet) -> None:
    given = {"unlabelled": unlabelled}
    assert R3Gan.uses_unlabelled
    alone, off = fitted(typed_set), fitted(typed_set, context=given, unlabelled_ratio=0)
    assert pixels(off) == pixels(alone) != pixels(fitted(typed_set, context=given))


# -- configuration ----------------------------------------------------------------------------------------------------


def test_presets_follow_the_budget_and_gamma_the_patch_size() -> None:
    short, long = (R3GanConfig().resolve(R3Gan.budgets[name]) for name in ("quick", "paper"))
    assert (short.preset, short.resampling_factor, short.num_blocks) == ("microscopy", 2, 1)
    assert (long.preset, long.channel_max, long.num_blocks, long.learning_rate) == ("paper", 768, 2, 2e-4)
    assert short.gamma == 80
    gammas = [R3GanConfig().resolve(Budget(20_000, 4, side)).gamma for side in (64, 128, 256)]
    assert gammas == [2, pytest.approx((2 * 150) ** 0.5, rel=0.01), 150]
    assert R3GanConfig(gamma=7).resolve(R3Gan.budgets["quick"]).gamma == 7


@pytest.mark.parametrize(("patch", "fitting"), [(48, 32), (8, 16)])
def test_a_patch_that_is_no_power_of_two_is_refused(blob_set: SampleSet, patch: int, fitting: int) -> None:
    with pytest.raises(ConfigError, match=f"use --patch {fitting}"):
        fitted(blob_set, patch=patch)


# -- what is drawn ----------------------------------------------------------------------------------------------------


def test_what_was_saved_draws_the_same_and_classes_are_drawn_as_asked(typed_set: SampleSet, tmp_path: Path) -> None:
    generator = fitted(typed_set, draw=HALVES)
    drawn = generator.sample_batch(range(8), 0)
    assert Counter(sample.groups["cell_type"] for sample in drawn) == {"bright": 4, "dark": 4}
    assert len(set(pixels(generator))) == 4
    assert pixels(generator, seed=1) != pixels(generator)
    generator.save(tmp_path)
    assert pixels(R3Gan.load(tmp_path, Context(seed=9))) == pixels(generator)


def test_classes_of_pixels_are_drawn_too(semantic_set: SampleSet) -> None:
    generator = fitted(semantic_set)
    planes = generator.draw_planes(0, np.random.default_rng(0))
    assert np.allclose(planes[1:].sum(axis=0), 0, atol=1e-5)
    assert max(int(sample.labels.max()) for sample in generator.sample_batch(range(3), 0)) <= 1


def test_the_published_method_trains_and_draws(blob_set: SampleSet) -> None:
    generator = fitted(blob_set, preset="paper", num_blocks=1)
    assert generator.network.factor == 1
    assert len(set(pixels(generator))) == 4


@pytest.mark.parametrize("mixed", [False, True])
def test_a_stopped_training_goes_on_to_the_same_weights(
    typed_set: SampleSet, unlabelled: SampleSet, tmp_path: Path, mixed: bool
) -> None:
    """Those of the generator follow from those of the discriminators."""
    given = {"unlabelled": unlabelled if mixed else None}
    whole = fitted(typed_set, steps=8, context=given)
    asked = iter(range(100))
    with pytest.raises(Stopped):
        fitted(typed_set, steps=8, context={**given, "folder": tmp_path, "should_stop": lambda: next(asked) == 5})
    resumed = fitted(typed_set, steps=8, context={**given, "folder": tmp_path})
    for ours, theirs in zip(whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_that_goes_astray_is_a_failure(blob_set: SampleSet) -> None:
    class Unbounded(R3GanConfig):
        learning_rate: float = 1e12

    with pytest.raises(Diverged):
        R3Gan(Unbounded(**SMALL)).fit(blob_set, Context(seed=1, budget=Budget(12, 4, 32)))


def test_one_and_the_same_picture_is_a_failure(blob_set: SampleSet) -> None:
    generator = fitted(blob_set)
    real = np.stack([np.concatenate(generator.codec.encode(s, k))[:, :32, :32] for k, s in enumerate(blob_set)])
    with torch.no_grad():
        generator.network.linear.weight.zero_()
        for block in generator.network.modules():
            if isinstance(block, nn.Conv2d):
                block.weight.zero_()
    with pytest.raises(Diverged):
        generator.check_samples(real, 0)


@pytest.mark.slow
def test_the_class_decides_what_is_drawn(typed_set: SampleSet) -> None:
    """How bright the image is in the mean: discs cover less than half of it."""
    generator = fitted(typed_set, steps=300, batch=8, draw=HALVES, gamma=60.0, channel_base=256, channel_max=32)
    light: dict[str, list[float]] = {"bright": [], "dark": []}
    for sample in generator.sample_batch(range(16), 0):
        light[sample.groups["cell_type"]].append(float(sample.image.mean()))
    assert np.mean(light["bright"]) + 40 < np.mean(light["dark"])
