"""Hyper-parameters of the diffusion model, and the two presets that give those that are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.generators.diffusion_processes import (
    BetaSchedule,
    DiffusionProcess,
    GaussianDiffusion,
    PredictionType,
)
from synthbench.toolkit.generators.unlabelled import UnlabelledConfig
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults, resolve_preset, resolved

__all__ = ["DenoisingConfig", "DiffusionConfig"]

PAPER: Mapping[str, Any] = {
    "model_channels": 128,
    "channel_mult": (1, 1, 2, 2, 4, 4),
    "num_res_blocks": 2,
    "attention_resolution": 16,
    "pixel_unshuffle_factor": 1,
    "prediction_type": "epsilon",
    "learning_rate": 1e-4,
    "lr_schedule": "warmup",
    "ema_decay": 0.9999,
    "pixel_noise": False,
}
MICROSCOPY: Mapping[str, Any] = {
    "model_channels": 48,
    "channel_mult": (1, 2, 2),
    "num_res_blocks": 1,
    "pixel_unshuffle_factor": 4,
    "prediction_type": "sample",
    "learning_rate": 1e-3,
    "lr_schedule": "one_cycle",
    "ema_decay": 0.999,
    "pixel_noise": True,
}
_CONDITIONAL_ONLY = (
    *("intensity_conditioning", "texture", "cond_drop_prob", "guidance_scale", "max_side"),
    *("mask_source", "object_layout", "foreground_fraction", "touching_fraction"),
)


class DenoisingConfig(PresetConfig, UnlabelledConfig, MaskToImageConfig):
    """What the configurations of diffusion and flow matching share: network, training, conditions.

    Names are those of the papers and of improved-diffusion (Nichol & Dhariwal 2021). Fields whose default is None are
    set by the preset. The keys about masks, intensities and textures apply to the conditional mode.

    Attributes
    ----------
    paper_guidance : float
        The guidance scale of the preset ``paper``.
    """

    paper_guidance: ClassVar[float] = 1.0

    mode: Literal["joint", "conditional"] = Field(
        "joint", description="joint: image and mask together; conditional: an image for a mask of the mask sampler"
    )
    model_channels: int | None = Field(
        None, ge=8, multiple_of=8, description="channels of the U-Net at its highest resolution"
    )
    channel_mult: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        min_length=1,
        max_length=7,
        description="channels at each resolution, in multiples of model_channels; each is half the one before",
    )
    num_res_blocks: int | None = Field(None, ge=1, description="residual blocks at each resolution")
    attention_resolution: int | None = Field(
        None,
        ge=1,
        description="side of the feature maps of a training patch with self-attention; none: only the smallest maps",
    )
    pixel_unshuffle_factor: int | None = Field(
        None, ge=1, le=8, description="side of the squares of pixels that become channels before the U-Net; 1: none"
    )
    sampling_steps: int | None = Field(None, ge=1, description="steps to draw a sample")
    learning_rate: float | None = Field(None, gt=0, le=1, description="of Adam; the highest one of its schedule")
    lr_schedule: Literal["warmup", "one_cycle"] | None = Field(
        None, description="warmup: it rises in the first 5,000 steps (DDPM); one_cycle: it rises and falls once"
    )
    ema_decay: float | None = Field(
        None, ge=0, lt=1, description="of the moving average of the weights, which draws the samples"
    )
    mask_weight: float = Field(1.0, ge=0, description="weight of the mask's error; the image's has 1; joint mode")
    cond_drop_prob: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="probability that training omits the condition (classifier-free guidance, arXiv 2207.12598); by "
        "default 0.2 where the guidance needs it, else 0; conditional mode",
    )
    guidance_scale: float | None = Field(
        None,
        ge=0,
        description="w + 1 of classifier-free guidance, 1 for none; by default 2 in the preset paper, else 1; "
        "conditional mode",
    )
    intensity_conditioning: bool | None = Field(
        None,
        description="whether the network gets the intensity statistics of the image and its objects in addition to the "
        "mask (an addition of this project; see synthbench.toolkit.intensity.conditioning); by default true in the "
        "preset microscopy; conditional mode",
    )
    texture: bool | None = Field(
        None,
        description="whether generated objects get the texture that they lack compared with training objects of "
        "similar size (an addition of this project; see synthbench.toolkit.intensity.texture); by default true in the "
        "preset microscopy with intensity_conditioning, which it requires; conditional mode",
    )
    max_side: int = Field(
        1024,
        ge=16,
        description="longest side of an image in pixels; larger masks are cropped at random, since the memory of "
        "attention grows with its fourth power; conditional mode",
    )

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        unused = non_default(self, _CONDITIONAL_ONLY if self.mode == "joint" else ("mask_weight",))
        if unused:
            other = "conditional" if self.mode == "joint" else "joint"
            raise ValueError(f"{unused[0]} requires mode: {other}, and it is {self.mode}")
        return self

    @model_validator(mode="after")
    def _check_guidance(self) -> Self:
        if self.mode == "conditional" and self.cond_drop_prob == 0 and self.guidance_scale not in (None, 1):
            raise ValueError(
                f"guidance_scale: {self.guidance_scale:g} requires cond_drop_prob > 0; give guidance_scale: 1, or a "
                "cond_drop_prob"
            )
        return self

    def process(self) -> DiffusionProcess:
        """Return the process that the network learns to reverse; the configuration is resolved."""
        raise NotImplementedError

    def preset_values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values of the presets ``paper`` and ``microscopy``, apart from those of conditions."""
        raise NotImplementedError

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open that its mode has.

        Raises
        ------
        ConfigError
            If the network can't halve the patches as often as `channel_mult` says.
        """
        paper, microscopy = self.preset_values()
        if self.mode == "conditional":
            scale = 1.0 if self.cond_drop_prob == 0 else self.paper_guidance
            paper |= {"intensity_conditioning": False, "texture": False, "guidance_scale": scale}
            microscopy |= {
                "intensity_conditioning": True,
                "texture": self.intensity_conditioning is not False,
                "guidance_scale": 1.0,
            }
        config = resolve_preset(self, budget, paper=paper, microscopy=microscopy)
        block = config.side_multiple
        if budget.patch_size % block:
            raise ConfigError(
                f"patch size {budget.patch_size} isn't a multiple of {block}, which channel_mult and "
                f"pixel_unshuffle_factor require; use --patch {max(1, round(budget.patch_size / block)) * block}"
            )
        if self.mode == "joint":
            return config
        drop = {"cond_drop_prob": 0.0 if config.guidance_scale == 1 else 0.2}
        return resolve_defaults(config, budget, short=drop, long=drop)

    @property
    def side_multiple(self) -> int:
        """The sides of images are multiples of this, when the configuration is resolved."""
        return int(resolved(self.pixel_unshuffle_factor) * 2 ** (len(resolved(self.channel_mult)) - 1))


class DiffusionConfig(DenoisingConfig):
    """Hyper-parameters of `synthbench_diffusion.generator.Diffusion`.

    The preset ``paper`` has the values of DDPM (Ho et al. 2020, app. B, for images of 256²); learning rate and guidance
    are those of NuDiff (MICCAI 2023), and the sampler is DDIM's. Names are those of the papers and of
    improved-diffusion (Nichol & Dhariwal 2021). Fields whose default is None are set by the preset. The keys about
    masks, intensities and textures apply to the conditional mode.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "filters": "model_channels",
        "levels": "channel_mult",
        "fold": "pixel_unshuffle_factor",
        "times": "timesteps",
        "schedule": "beta_schedule",
        "prediction": "prediction_type",
        "decay": "ema_decay",
        "dropped": "cond_drop_prob",
        "guidance": "guidance_scale",
        "largest": "max_side",
    }

    paper_guidance: ClassVar[float] = 2.0

    timesteps: int = Field(1000, ge=50, description="T, steps of the diffusion process (DDPM, sec. 4)")
    sampling_steps: int | None = Field(None, ge=1, description="steps of DDIM to draw a sample (arXiv 2010.02502)")
    beta_schedule: BetaSchedule = Field("linear_beta", description="variance schedule β; linear_beta is DDPM's")
    prediction_type: PredictionType | None = Field(
        None,
        description="what the network predicts: epsilon, the noise (DDPM, eq. 14), sample, the clean image, or "
        "v_prediction (arXiv 2202.00512)",
    )

    @model_validator(mode="after")
    def _check_sampling_steps(self) -> Self:
        if self.sampling_steps is not None and self.sampling_steps > self.timesteps:
            raise ValueError(f"sampling_steps: {self.sampling_steps} exceeds timesteps: {self.timesteps}")
        return self

    def process(self) -> GaussianDiffusion:
        return GaussianDiffusion(self.timesteps, self.beta_schedule, resolved(self.prediction_type))

    def preset_values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        steps = self.timesteps
        return {**PAPER, "sampling_steps": min(50, steps)}, {**MICROSCOPY, "sampling_steps": min(20, steps)}
