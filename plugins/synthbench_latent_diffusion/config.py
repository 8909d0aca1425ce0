"""Hyper-parameters of latent diffusion, and the two presets that give those that are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.generators.diffusion_processes import BetaSchedule, GaussianDiffusion, PredictionType
from synthbench.toolkit.generators.unlabelled import UnlabelledConfig
from synthbench.toolkit.training.budget_defaults import resolve_preset, resolved

__all__ = ["LatentDiffusionConfig"]

PAPER: Mapping[str, Any] = {
    "autoencoder_channels": (128, 256, 512),
    "autoencoder_res_blocks": 2,
    "latent_channels": 3,
    "autoencoder_learning_rate": 7.2e-5,
    "adversarial_weight": 0.5,
    "model_channels": 128,
    "channel_mult": (1, 4, 8),
    "num_res_blocks": 2,
    "spade_channels": 128,
    "prediction_type": "epsilon",
    "loss_type": "l1",
    "learning_rate": 1.6e-5,
    "lr_schedule": "constant",
    "ema_decay": 0.9999,
    "sampling_steps": 200,
    "intensity_conditioning": False,
    "texture": False,
    "pixel_noise": False,
}
MICROSCOPY: Mapping[str, Any] = {
    "autoencoder_channels": (16, 32, 48),
    "autoencoder_res_blocks": 1,
    "latent_channels": 4,
    "autoencoder_learning_rate": 2e-3,
    "adversarial_weight": 0.0,
    "model_channels": 48,
    "channel_mult": (1, 2, 2),
    "num_res_blocks": 1,
    "spade_channels": 32,
    "prediction_type": "v_prediction",
    "loss_type": "l2",
    "learning_rate": 1e-3,
    "lr_schedule": "one_cycle",
    "ema_decay": 0.999,
    "sampling_steps": 20,
    "intensity_conditioning": True,
    "pixel_noise": True,
}


class LatentDiffusionConfig(PresetConfig, UnlabelledConfig, MaskToImageConfig):
    """Hyper-parameters of `synthbench_latent_diffusion.generator.LatentDiffusion`.

    Names are those of the papers and of MONAI. The preset ``paper`` has the values of the authors' code (Rombach et al.
    2022) for semantic synthesis at 256², with its KL autoencoder of factor 4. Fields whose default is None are set by
    the preset.
    """

    conditioning: Literal["spade", "controlnet"] = Field(
        "spade",
        description="how the network sees the mask: spade, as scale and shift of its normalisation layers (arXiv "
        "1903.07291); controlnet, by a second network whose features are added (arXiv 2302.05543); both are trained "
        "together",
    )
    autoencoder_fraction: float = Field(
        0.4, gt=0, lt=1, description="fraction of the training steps that train the autoencoder, before the diffusion"
    )
    autoencoder_channels: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        min_length=2,
        max_length=5,
        description="channels of the autoencoder at each resolution, each half the one before; latents have the "
        "resolution of the last",
    )
    autoencoder_res_blocks: int | None = Field(None, ge=1, description="residual blocks at each resolution")
    latent_channels: int | None = Field(None, ge=1, description="channels of the latents")
    kl_weight: float = Field(
        1e-6, ge=0, description="weight of the Kullback-Leibler divergence of an image's latents, a sum over them"
    )
    adversarial_weight: float | None = Field(
        None,
        ge=0,
        description="weight of the patch discriminator in the second half of the autoencoder's training, relative to "
        "the gradient of the reconstruction error; 0: none",
    )
    autoencoder_learning_rate: float | None = Field(None, gt=0, le=1, description="of the autoencoder's Adam")
    model_channels: int | None = Field(
        None, ge=8, multiple_of=8, description="channels of the U-Net at its highest resolution"
    )
    channel_mult: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        min_length=1,
        max_length=6,
        description="channels of the U-Net at each resolution of the latents, in multiples of model_channels; each is "
        "half the one before",
    )
    num_res_blocks: int | None = Field(None, ge=1, description="residual blocks of the U-Net at each resolution")
    spade_channels: int | None = Field(None, ge=1, description="intermediate channels of the SPADE layers")
    timesteps: int = Field(1000, ge=50, description="T, steps of the diffusion process (DDPM, sec. 4)")
    sampling_steps: int | None = Field(None, ge=1, description="steps of DDIM to draw a sample (arXiv 2010.02502)")
    beta_schedule: BetaSchedule = Field(
        "scaled_linear_beta", description="variance schedule β; scaled_linear_beta is the authors'"
    )
    prediction_type: PredictionType | None = Field(
        None,
        description="what the network predicts: epsilon, the noise, sample, the clean latents, or v_prediction (arXiv "
        "2202.00512)",
    )
    loss_type: Literal["l1", "l2"] | None = Field(None, description="absolute or squared error of the prediction")
    learning_rate: float | None = Field(None, gt=0, le=1, description="of the diffusion's AdamW")
    lr_schedule: Literal["constant", "one_cycle"] | None = Field(
        None, description="of both trainings: constant, or one_cycle, in which the rate rises and falls once"
    )
    ema_decay: float | None = Field(
        None, ge=0, lt=1, description="of the moving average of the U-Net's weights, which draws the samples"
    )
    max_side: int = Field(
        2048,
        ge=16,
        description="longest side of an image in pixels; larger masks are cropped at random, since the memory of "
        "attention grows with its fourth power",
    )

    @model_validator(mode="after")
    def _check_sampling_steps(self) -> Self:
        if self.sampling_steps is not None and self.sampling_steps > self.timesteps:
            raise ValueError(f"sampling_steps: {self.sampling_steps} exceeds timesteps: {self.timesteps}")
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        Raises
        ------
        ConfigError
            If the networks can't halve the patches as often as `autoencoder_channels` and `channel_mult` say, or if
            there aren't steps for both trainings.
        """
        paper, microscopy = (
            {**preset, "sampling_steps": min(preset["sampling_steps"], self.timesteps)}
            for preset in (PAPER, {**MICROSCOPY, "texture": self.intensity_conditioning is not False})
        )
        config = resolve_preset(self, budget, paper=paper, microscopy=microscopy)
        block = config.side_multiple
        if budget.patch_size % block:
            raise ConfigError(
                f"patch size {budget.patch_size} isn't a multiple of {block}, which autoencoder_channels and "
                f"channel_mult require; use --patch {max(1, round(budget.patch_size / block)) * block}"
            )
        return config

    def process(self) -> GaussianDiffusion:
        """Return the process of the latents, which aren't limited to −1 … 1; the configuration is resolved."""
        return GaussianDiffusion(self.timesteps, self.beta_schedule, resolved(self.prediction_type), clip=False)

    @property
    def latent_factor(self) -> int:
        """Sides of images in multiples of those of their latents, when the configuration is resolved."""
        return int(2 ** (len(resolved(self.autoencoder_channels)) - 1))

    @property
    def side_multiple(self) -> int:
        """The sides of images are multiples of this, when the configuration is resolved."""
        return int(self.latent_factor * 2 ** (len(resolved(self.channel_mult)) - 1))
