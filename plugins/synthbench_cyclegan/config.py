"""Hyper-parameters of CycleGAN.

Names are those of the authors' code (junyanz/pytorch-CycleGAN-and-pix2pix) in snake case; sections are those of Zhu et
al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017 (arXiv 1703.10593).
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.layers.resnet_generator import Upsampling
from synthbench.toolkit.training.budget_defaults import resolve_defaults, resolve_preset

__all__ = ["CycleGanConfig"]

_SMALLEST_PATCH = 24


class CycleGanConfig(PresetConfig, MaskToImageConfig):
    """Hyper-parameters of CycleGAN."""

    ngf: int | None = Field(None, ge=4, description="planes of both generators at full resolution")
    n_blocks: int | None = Field(None, ge=1, description="residual blocks of both generators")
    upsampling: Upsampling | None = Field(
        None,
        description="transposed: the published transposed convolutions; bilinear: bilinear upsampling and 3×3 "
        "convolutions, which leave no checkerboard (an addition of this project)",
    )
    noise_planes: int | None = Field(
        None, ge=0, description="planes of Gaussian noise beside the mask (an addition of this project)"
    )
    ndf: int | None = Field(None, ge=4, description="planes of the first layer of both discriminators")
    n_layers_d: int = Field(
        3, ge=1, le=5, description="downsampling layers of a discriminator; 3 see patches of 70 × 70"
    )
    lambda_a: float = Field(10.0, ge=0, description="weight of the cycle mask → image → mask (lambda_A)")
    lambda_b: float = Field(10.0, ge=0, description="weight of the cycle image → mask → image (lambda_B)")
    lambda_identity: float = Field(
        0.5,
        ge=0,
        description="weight of the identity loss, relative to lambda_a and lambda_b: what already is an image stays as "
        "it is, and so does a mask; planes are averaged or repeated where the numbers differ",
    )
    pool_size: int = Field(50, ge=0, description="earlier drawn images and masks that discriminators see, too")
    lr: float | None = Field(
        None, gt=0, le=1, description="learning rate of Adam, constant in the first half and then falling linearly to 0"
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")

    @model_validator(mode="after")
    def _check_unpaired(self) -> Self:
        for name in ("intensity_conditioning", "texture", "condition_on", "proportions"):
            if getattr(self, name):
                key = "draw" if name == "proportions" else name
                raise ValueError(f"{key}: needs images with their masks, and cyclegan trains without pairs; remove it")
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Sizes and the learning rate follow from the budget, the published ones in a long training; everything else
        follows from the preset.

        Raises
        ------
        ConfigError
            If the patches are too small for the discriminators.
        """
        if budget.patch_size < (side := max(_SMALLEST_PATCH, 3 * 2**self.n_layers_d)):
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for n_layers_d: {self.n_layers_d}; give patches of "
                f"{side} or more (images must not be smaller than a patch)"
            )
        fixed = {"intensity_conditioning": False, "pixel_noise": True, "texture": False}
        return resolve_preset(
            resolve_defaults(
                self,
                budget,
                short={"ngf": 16, "n_blocks": 3, "ndf": 16, "lr": 4e-4},
                long={"ngf": 64, "n_blocks": 9, "ndf": 64, "lr": 2e-4},
            ),
            budget,
            paper={"upsampling": "transposed", "noise_planes": 0, **fixed},
            microscopy={"upsampling": "bilinear", "noise_planes": 1, **fixed},
        )
