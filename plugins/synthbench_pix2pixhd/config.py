"""Hyper-parameters of pix2pixHD.

Names are those of the authors' code (NVIDIA/pix2pixHD) in snake case; sections and equations are those of Wang et al.,
"High-resolution image synthesis and semantic manipulation with conditional GANs", CVPR 2018 (arXiv 1711.11585).
"""

from __future__ import annotations

from typing import Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.feature_matching import FeatureMatchingConfig
from synthbench.toolkit.layers.resnet_generator import Upsampling
from synthbench.toolkit.training.budget_defaults import resolve_defaults, resolve_preset, resolved

__all__ = ["Pix2PixHDConfig"]


class Pix2PixHDConfig(FeatureMatchingConfig):
    """Hyper-parameters of pix2pixHD."""

    ngf: int | None = Field(None, ge=4, description="planes of the generator at full resolution")
    n_downsample_global: int | None = Field(None, ge=1, le=6, description="how often it halves the resolution")
    n_blocks_global: int | None = Field(None, ge=1, description="number of its residual blocks")
    upsampling: Upsampling | None = Field(
        None,
        description="transposed: the published transposed convolutions; bilinear: bilinear upsampling and 3×3 "
        "convolutions, which leave no checkerboard (an addition of this project)",
    )
    n_layers_d: int = Field(3, ge=1, le=5, description="downsampling layers of a discriminator")
    num_discriminators: int = Field(
        3,
        ge=1,
        le=4,
        description="number of discriminators, each at half of the resolution of the one before; 3 in the paper "
        "(section 3.2), 2 by default in the code (num_D)",
    )
    lr: float | None = Field(
        None, gt=0, le=1, description="learning rate of Adam, constant in the first half and then falling linearly to 0"
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Sizes and the learning rate follow from the budget, the published ones in a long training; everything else
        follows from the preset.

        Raises
        ------
        ConfigError
            If the patches are too small for the networks.
        """
        config = resolve_preset(
            resolve_defaults(
                self,
                budget,
                short={"ngf": 16, "n_downsample_global": 3, "n_blocks_global": 4, "ndf": 16, "lr": 4e-4},
                long={"ngf": 64, "n_downsample_global": 4, "n_blocks_global": 9, "ndf": 64, "lr": 2e-4},
            ),
            budget,
            paper={
                "upsampling": "transposed",
                "noise_planes": 0,
                "perceptual": "vgg19",
                "intensity_conditioning": False,
                "pixel_noise": True,
                "texture": False,
            },
            microscopy={
                "upsampling": "bilinear",
                "noise_planes": 1,
                "perceptual": "off",
                **self.additions(),
            },
        )
        halvings = max(resolved(config.n_downsample_global), config.num_discriminators - 1)
        if budget.patch_size < 2 * 2**halvings:
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for n_downsample_global: {config.n_downsample_global} "
                f"and num_discriminators: {config.num_discriminators}; give patches of {2 * 2**halvings} or more, or "
                "smaller networks (images must not be smaller than a patch)"
            )
        return config
