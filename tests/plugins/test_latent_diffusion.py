"""Latent diffusion: two trainings within one budget, a scale for the latents, and images that follow their masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("einops")

from monai.networks.nets import AutoencoderKL
from torch import nn

from helpers.trainings import SmallGenerator, pixels, same_weights, stop
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError
from synthbench_latent_diffusion.config import LatentDiffusionConfig
from synthbench_latent_diffusion.generator import LatentDiffusion
from synthbench_latent_diffusion.networks import LatentAutoencoder, build_autoencoder, build_denoiser
from synthbench_latent_diffusion.training import AutoencoderTraining, kl_divergence

SMALL: dict[str, Any] = {
    "autoencoder_channels": (8, 16),
    "model_channels": 8,
    "channel_mult": (1, 2),
    "spade_channels": 8,
    "sampling_steps": 2,
}
CONDITIONINGS = ("spade", "controlnet")


def config_of(**config: Any) -> LatentDiffusionConfig:
    return LatentDiffusionConfig(**{**SMALL, **config})


fitted = SmallGenerator(LatentDiffusion, SMALL, steps=5)


def weights(generator: LatentDiffusion, name: str) -> dict[str, torch.Tensor]:
    return generator.networks[name].state_dict()


# -- configuration ----------------------------------------------------------------------------------------------------


def test_a_long_training_has_the_values_of_the_authors_code() -> None:
    found = LatentDiffusionConfig().resolve(LatentDiffusion.budgets["paper"])
    assert (found.autoencoder_channels, found.latent_channels, found.latent_factor) == ((128, 256, 512), 3, 4)
    assert (found.model_channels, found.channel_mult, found.num_res_blocks) == (128, (1, 4, 8), 2)
    assert (found.kl_weight, found.adversarial_weight, found.loss_type) == (1e-6, 0.5, "l1")
    assert (found.prediction_type, found.beta_schedule) == ("epsilon", "scaled_linear_beta")
    assert (found.intensity_conditioning, found.texture, found.pixel_noise) == (False, False, False)
    short = LatentDiffusionConfig().resolve(LatentDiffusion.budgets["quick"])
    assert (short.preset, short.adversarial_weight, short.texture) == ("microscopy", 0, True)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"timesteps": 60, "sampling_steps": 80}, "sampling_steps: 80"),
        ({"conditioning": "concat"}, "conditioning"),
        ({"autoencoder_fraction": 1}, "autoencoder_fraction"),
        ({"texture": True, "intensity_conditioning": False}, "texture"),
    ],
)
def test_values_that_do_not_go_together_are_refused(config: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        LatentDiffusionConfig(**config)


def test_a_patch_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ConfigError, match="use --patch 32"):
        config_of().resolve(Budget(4, 2, 34))


# -- networks ---------------------------------------------------------------------------------------------------------


def test_scaled_latents_have_zero_mean_and_unit_variance() -> None:
    torch.manual_seed(0)
    autoencoder = build_autoencoder(config_of().resolve(Budget(4, 2, 32)), 1).eval()
    images = torch.rand(16, 1, 32, 32) * 2 - 1
    with torch.no_grad():
        autoencoder.fit_scale(autoencoder.encode(images, torch.Generator().manual_seed(0)))
        latents = autoencoder.encode(images, torch.Generator().manual_seed(0))
        mean, std = autoencoder.posterior(images)
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(
            autoencoder.decode(latents), autoencoder.autoencoder.decode(mean + std * noise), atol=1e-4
        )
    assert latents.shape == (16, 4, 16, 16)
    assert float(latents.mean()) == pytest.approx(0, abs=1e-4)
    assert float(latents.std()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_denoisers_see_time_and_every_pixel_of_the_condition(conditioning: str) -> None:
    torch.manual_seed(0)
    config = config_of(conditioning=conditioning).resolve(Budget(4, 2, 32))
    denoiser = build_denoiser(config, 3).eval()
    for values in denoiser.parameters():
        nn.init.normal_(values, std=0.2)
    latents, t = torch.randn(1, 4, 16, 8), torch.tensor([5])
    condition = torch.zeros(1, 3, 32, 16, requires_grad=True)
    found = denoiser(latents, t, condition)
    assert found.shape == latents.shape
    assert not torch.allclose(denoiser(latents, torch.tensor([900]), condition), found, atol=1e-3)
    (gradient,) = torch.autograd.grad(found.abs().sum(), condition)
    assert bool((gradient != 0).all())


def test_the_divergence_is_that_of_torch() -> None:
    mean, std = torch.randn(3, 2, 4, 4), torch.rand(3, 2, 4, 4) + 0.1
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, std), normal(0.0, 1.0)).sum(dim=(1, 2, 3)).mean()
    assert float(kl_divergence(mean, std)) == pytest.approx(float(expected), rel=1e-5)


def test_the_discriminator_begins_after_half_of_the_steps_and_weighs_what_was_asked_for() -> None:
    torch.manual_seed(0)
    config = config_of(adversarial_weight=0.5, kl_weight=0).resolve(Budget(4, 2, 32))
    autoencoder = build_autoencoder(config, 1)
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    training = AutoencoderTraining(
        config, autoencoder, lambda number: images, steps=4, random=torch.Generator().manual_seed(0)
    )
    before = [values.clone() for values in training.discriminator.parameters()]
    named = [set(training.step(number)) for number in range(4)]
    assert named[:2] == [{"reconstruction", "kl"}] * 2
    assert named[2:] == [{"reconstruction", "kl", "adversarial", "discriminator"}] * 2
    after = list(training.discriminator.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    decoded = autoencoder.decode(autoencoder.encode(images, torch.Generator().manual_seed(0)))
    reconstruction = (decoded - images).abs().mean()
    adversarial = training.adversarial_loss(reconstruction, decoded)
    norms = [
        torch.autograd.grad(loss, training.last_weight, retain_graph=True)[0].norm()
        for loss in (adversarial, reconstruction)
    ]
    assert float(norms[0] / norms[1]) == pytest.approx(0.5, rel=0.05)


def test_the_autoencoder_is_monais() -> None:
    autoencoder = build_autoencoder(LatentDiffusionConfig(preset="paper").resolve(Budget(4, 2, 32)), 3)
    expected = AutoencoderKL(
        2,
        3,
        3,
        (2, 2, 2),
        (128, 256, 512),
        (False,) * 3,
        3,
        32,
        with_encoder_nonlocal_attn=False,
        with_decoder_nonlocal_attn=False,
    )
    assert isinstance(autoencoder, LatentAutoencoder)
    shapes = {name: values.shape for name, values in autoencoder.autoencoder.state_dict().items()}
    assert shapes == {name: values.shape for name, values in expected.state_dict().items()}


# -- training ---------------------------------------------------------------------------------------------------------


def test_each_training_has_its_share_of_the_steps(blob_set: SampleSet, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    progress = {"folder": tmp_path, "progress": lambda done, total, note: seen.append((done, total))}
    fitted(blob_set, steps=10, context=progress, autoencoder_fraction=0.3)
    logs = {
        name: [json.loads(line)["step"] for line in (tmp_path / "log" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("autoencoder", "denoiser")
    }
    assert logs == {"autoencoder": list(range(3)), "denoiser": list(range(7))}
    assert seen[-1] == (10, 10)
    assert all(total == 10 for _, total in seen)


@pytest.mark.parametrize("at", [1, 4])
def test_a_stopped_training_goes_on_to_the_same_weights(blob_set: SampleSet, tmp_path: Path, at: int) -> None:
    """Stopped in either phase."""
    uninterrupted = fitted(blob_set, steps=6, adversarial_weight=0.5)
    stop(lambda **context: fitted(blob_set, steps=6, adversarial_weight=0.5, context=context), tmp_path, at=at)
    assert (tmp_path / "denoiser.pt").exists() == (at == 4)
    resumed = fitted(blob_set, steps=6, adversarial_weight=0.5, context={"folder": tmp_path})
    for name in ("autoencoder", "denoiser"):
        assert same_weights(uninterrupted.networks[name], resumed.networks[name])
    saved = tmp_path / "saved"
    saved.mkdir()
    resumed.save(saved)
    assert pixels(LatentDiffusion.load(saved, Context(seed=9))) == pixels(uninterrupted)


def test_the_diffusion_leaves_the_autoencoder_alone(blob_set: SampleSet) -> None:
    """Whatever the diffusion's rate is, the same autoencoder comes out."""
    one, other = (weights(fitted(blob_set, learning_rate=rate), "autoencoder") for rate in (1e-3, 1e-2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert float(one["scale"]) != 1


@pytest.mark.parametrize(("ratio", "differs"), [(0.5, True), (0.0, False)])
def test_unlabelled_images_train_the_autoencoder(blob_set: SampleSet, ratio: float, differs: bool) -> None:
    rng = np.random.default_rng(0)
    everything = np.ones((64, 64), bool)
    unlabelled = SampleSet.of(
        [
            Sample(
                f"u{k}",
                rng.integers(0, 255, (64, 64)).astype(np.uint8),
                np.zeros((64, 64), np.int32),
                ignore=everything,
            )
            for k in range(3)
        ]
    )
    alone = fitted(blob_set, unlabelled_ratio=ratio)
    beside = fitted(blob_set, unlabelled_ratio=ratio, context={"unlabelled": unlabelled})
    pairs = zip(weights(alone, "autoencoder").values(), weights(beside, "autoencoder").values(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs) == differs


# -- sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("max_side", [2048, 40])
def test_images_have_the_size_of_masks_of_any_size(blob_set: SampleSet, max_side: int, conditioning: str) -> None:
    cut = [Sample(s.id, s.image[:59, :37].copy(), s.labels[:59, :37].copy()) for s in blob_set]
    generator = fitted(SampleSet.of(cut), conditioning=conditioning, max_side=max_side)
    drawn = generator.sample_batch(range(3), 0)
    for sample in drawn:
        assert sample.image.shape == sample.labels.shape
        assert sorted(sample.labels.shape) == [37, min(59, max_side)]
    assert pixels(generator, [0]) == [drawn[0].image.tobytes() + drawn[0].labels.tobytes()]
    assert pixels(generator, [0], seed=1) != pixels(generator, [0])


def test_colour_and_classes_are_drawn_too(semantic_set: SampleSet) -> None:
    coloured = [Sample(s.id, np.repeat(s.image[..., None], 3, axis=2), s.labels) for s in semantic_set]
    train = SampleSet.of(coloured, task="semantic", classes=("background", "disc"))
    for sample in fitted(train).sample_batch(range(2), 0):
        assert sample.image.shape == (*sample.labels.shape, 3)
        assert set(np.unique(sample.labels)) <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_objects_are_drawn_where_the_masks_have_them(blob_set: SampleSet, conditioning: str) -> None:
    trained = LatentDiffusion(
        config_of(
            conditioning=conditioning,
            model_channels=16,
            sampling_steps=10,
            learning_rate=2e-3,
            intensity_conditioning=False,
        )
    )
    trained.fit(blob_set, Context(seed=1, budget=Budget(300, 8, 32)))
    inside, outside = [], []
    for sample in trained.sample_batch(range(8), 0):
        inside.append(sample.image[sample.labels > 0].ravel())
        outside.append(sample.image[sample.labels == 0].ravel())
    assert np.median(np.concatenate(inside)) > np.median(np.concatenate(outside)) + 60
