"""Hyper-parameters of R3GAN, and the two presets that give those that are left open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.conditions import ConditionConfig
from synthbench.toolkit.generators.config import PresetConfig
from synthbench.toolkit.generators.unlabelled import UnlabelledConfig
from synthbench.toolkit.training.budget_defaults import resolve_preset, resolved
from synthbench_r3gan.networks import BASE_SIDE

__all__ = ["R3GanConfig"]

PAPER: Mapping[str, Any] = {
    "channel_max": 768,
    "channel_base": 24_576,
    "num_blocks": 2,
    "resampling_factor": 1,
    "learning_rate": 2e-4,
    "pixel_noise": False,
    "discriminator_width": 1.0,
    "discriminator_unshuffle": 1,
    "mask_tanh": False,
}
MICROSCOPY: Mapping[str, Any] = {
    "channel_max": 128,
    "channel_base": 1024,
    "discriminator_width": 0.5,
    "discriminator_unshuffle": 2,
    "mask_tanh": True,
    "num_blocks": 1,
    "resampling_factor": 2,
    "gamma": 80.0,
    "learning_rate": 1e-3,
    "pixel_noise": True,
}
_GAMMAS = {64: 2.0, 256: 150.0}
"""γ at the start of the authors' trainings on faces, by the side of the images."""


class R3GanConfig(ConditionConfig, UnlabelledConfig, PresetConfig):
    """Hyper-parameters of `synthbench_r3gan.generator.R3Gan`.

    Five values change during the training, from the first to the last by half a cosine. Fields whose default is None
    are set by the preset.
    """

    channel_max: int | None = Field(None, ge=8, description="largest number of channels of both networks")
    channel_base: int | None = Field(
        None, ge=64, description="channels at resolution r are channel_base / r, at least 8 and at most channel_max"
    )
    num_blocks: int | None = Field(None, ge=1, description="residual blocks at each resolution")
    resampling_factor: Literal[1, 2, 4] | None = Field(
        None,
        description="how many times smaller than the image the networks' highest resolution is; 1 as published, else "
        "what is drawn is upsampled, and the discriminator sees downsampled patches",
    )
    discriminator_width: float | None = Field(
        None, gt=0, le=1, description="channels of the discriminator relative to the generator's, at least 8"
    )
    discriminator_unshuffle: Literal[1, 2, 4] | None = Field(
        None,
        description="side of the squares of pixels that become planes of the discriminator, so that its highest "
        "resolution is as many times smaller than the generator's; 1 as published",
    )
    mask_tanh: bool | None = Field(
        None, description="whether drawn mask planes of instances end with tanh, so that they reach the flat −1 and 1"
    )
    z_dim: int = Field(64, ge=2, description="length of z, and of the embedding of a class that is joined with it")
    gamma: float | None = Field(
        None,
        gt=0,
        description="γ of the penalties γ / 2 · (R1 + R2) in the first step; a tenth of it in the last one. Preset "
        "paper: 2 for patches of 64² and 150 for 256² (the authors' for faces), and by a power law for others",
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="of both Adam optimisers in the first step; a quarter of it in the last one"
    )
    aug_p: float = Field(
        0.3, ge=0, le=1, description="probability p of the augmentations of ADA in the last step; 0 in the first one"
    )
    ema_half_life: float = Field(
        0.025,
        ge=0,
        lt=1,
        description="half-life of the moving average of the generator's weights in the last step, as a fraction of all "
        "patches of the training; 0 in the first step",
    )
    pixel_noise: bool | None = Field(
        None,
        description="whether drawn images get as much of the pixel noise of a training image as they lack (an addition "
        "of this project; see synthbench.toolkit.intensity.pixel_noise)",
    )

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        Raises
        ------
        ConfigError
            If the networks can't draw patches of that size.
        """
        paper = {**PAPER, "gamma": default_gamma(budget.patch_size)}
        config = resolve_preset(self, budget, paper=paper, microscopy=MICROSCOPY)
        factor, side = resolved(config.resampling_factor), budget.patch_size
        smallest = BASE_SIDE * factor * max(2, resolved(config.discriminator_unshuffle))
        if side < smallest or side & (side - 1):
            nearest = max(smallest, 1 << (side.bit_length() - 1))
            hint = ", or a smaller resampling_factor" if side < smallest and factor > 1 else ""
            raise ConfigError(f"patch size {side} isn't a power of two ≥ {smallest}; use --patch {nearest}{hint}")
        return config


def default_gamma(side: int) -> float:
    """Return γ for patches of a side: the authors' where they give one, else by a power law through their values."""
    (first, low), (second, high) = _GAMMAS.items()
    exponent = math.log(high / low) / math.log(second / first)
    return float(f"{low * (side / first) ** exponent:.3g}")
