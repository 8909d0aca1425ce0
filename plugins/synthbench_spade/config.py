"""Hyper-parameters of SPADE.

Names are those of the authors' code (NVlabs/SPADE); sections and equations are those of Park et al., "Semantic image
synthesis with spatially-adaptive normalization", CVPR 2019 (arXiv 1903.07291).
"""

from __future__ import annotations

from typing import Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.feature_matching import FeatureMatchingConfig
from synthbench.toolkit.training.budget_defaults import resolve_defaults, resolve_preset, resolved
from synthbench_spade.network import Norm, NumUpsampling

__all__ = ["SpadeConfig"]

_UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}


class SpadeConfig(FeatureMatchingConfig):
    """Hyper-parameters of SPADE."""

    ngf: int | None = Field(
        None, ge=2, description="planes of the generator at full resolution; 16 times at the lowest"
    )
    nhidden: int | None = Field(
        None, ge=2, description="planes between the mask and the scales of a normalisation layer"
    )
    num_upsampling_layers: NumUpsampling = Field(
        "normal", description="normal: the generator starts at 1/32 of the resolution; more: at 1/64; most: at 1/128"
    )
    norm: Norm | None = Field(
        None,
        description="what the generator's normalisation layers scale and shift; by default batch, as in the paper, and "
        "instance for batches of one patch",
    )
    n_layers_d: int = Field(4, ge=2, le=6, description="layers of a discriminator before the logits")
    num_d: int = Field(
        2, ge=1, le=4, description="number of discriminators, each at half of the resolution of the one before"
    )
    lr: float | None = Field(
        None,
        gt=0,
        le=1,
        description="learning rate of Adam: half of it for the generator, twice for the discriminators",
    )
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's β₁")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's β₂")
    lr_decay: bool | None = Field(
        None,
        description="whether the learning rate falls linearly to 0 in the second half; in the code it is constant by "
        "default (niter_decay)",
    )

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
                short={"ngf": 8, "nhidden": 32, "ndf": 16, "lr": 8e-4},
                long={"ngf": 64, "nhidden": 128, "ndf": 64, "lr": 2e-4},
            ),
            budget,
            paper={
                "norm": "instance" if budget.batch_size == 1 else "batch",
                "noise_planes": 0,
                "perceptual": "vgg19",
                "intensity_conditioning": False,
                "pixel_noise": True,
                "texture": False,
                "lr_decay": False,
            },
            microscopy={
                "norm": "instance" if budget.batch_size == 1 else "batch",
                "noise_planes": 1,
                "perceptual": "off",
                **self.additions(),
                "lr_decay": True,
            },
        )
        coarsest = 2 ** _UPSAMPLINGS[config.num_upsampling_layers]
        pixels_per_patch = 1 if resolved(config.norm) == "batch" and budget.batch_size > 1 else 2
        side = max(pixels_per_patch * coarsest, 2 * 2 ** (config.num_d - 1))
        if budget.patch_size < side:
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for num_upsampling_layers: "
                f"{config.num_upsampling_layers}, num_d: {config.num_d}, norm: {config.norm} and batches of "
                f"{budget.batch_size}; give patches of {side} or more (images must not be smaller than a patch)"
            )
        return config
