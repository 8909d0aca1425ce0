"""Hyper-parameters of pix2pix.

Names are those of the authors' PyTorch implementation (pytorch-CycleGAN-and-pix2pix) in snake case; sections and
equations are those of Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017
(arXiv 1611.07004).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.training.budget_defaults import resolve_defaults, resolve_preset, resolved
from synthbench_pix2pix.networks import Norm
from synthbench_pix2pix.structure import Structure

__all__ = ["Pix2PixConfig"]


class Pix2PixConfig(PresetConfig, MaskToImageConfig):
    """Hyper-parameters of pix2pix."""

    renamed: ClassVar[Mapping[str, str]] = {
        "filters": "ngf",
        "discriminator_filters": "ndf",
        "depth": "num_downs",
        "noise": "noise_planes",
        "l1": "lambda_l1",
        "structure": "structural_loss",
        "structure_weight": "lambda_structural",
        "learning_rate": "lr",
    }

    ngf: int | None = Field(None, ge=4, description="planes of the generator after its first downsampling (6.1.1)")
    ndf: int | None = Field(None, ge=4, description="planes of the discriminator's first layer (6.1.2)")
    num_downs: int | None = Field(
        None, ge=1, le=8, description="how often the generator halves the resolution (6.1.1); 8 in the paper"
    )
    n_layers_d: int = Field(
        3, ge=1, le=5, description="downsampling layers of the discriminator; 3 see patches of 70 × 70 (6.1.2)"
    )
    upsampling: Literal["transposed", "bilinear"] | None = Field(
        None,
        description="transposed: the paper's U-Net (6.1.1); bilinear: 3×3 convolutions and bilinear upsampling, with a "
        "stage at full resolution (an addition of this project)",
    )
    norm: Norm | None = Field(
        None,
        description="normalisation of both networks; instance is batch norm with the statistics of the image itself, "
        "as in the paper (3.3)",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="probability in the innermost decoder blocks, in training and in sampling (3.1); 0.5, the only "
        "noise, in the paper",
    )
    noise_planes: int | None = Field(
        None,
        ge=0,
        description="planes of Gaussian noise in addition to the condition, z in equation 1; 0 in the paper (3.1)",
    )
    lambda_l1: float = Field(100.0, ge=0, description="weight λ of the L1 term in equation 4")
    structural_loss: Structure | Literal["auto"] | None = Field(
        None,
        description="further term on the foreground (an addition of this project; see synthbench_pix2pix.structure); "
        "auto: cldice for a semantic dataset of thin lines, else none",
    )
    lambda_structural: float | None = Field(
        None, gt=0, description="weight of the structural term; by default one that suits the term"
    )
    lr: float | None = Field(
        None,
        gt=0,
        le=1,
        description="learning rate of Adam (3.3), constant in the first half and then falling linearly to 0",
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁ (3.3)")

    @model_validator(mode="after")
    def _check_structural_loss(self) -> Self:
        if self.structural_loss == "none" and self.lambda_structural is not None:
            raise ValueError(
                f"lambda_structural: {self.lambda_structural:g} has no effect with structural_loss: none; remove it"
            )
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Sizes and the learning rate follow from the budget, the paper's in a long training; everything else follows
        from the preset.

        Raises
        ------
        ConfigError
            If the patches are too small for the generator or for the discriminator.
        """
        halvings = budget.patch_size.bit_length() - 1
        config = resolve_defaults(
            self,
            budget,
            short={"ngf": 24, "ndf": 16, "num_downs": 4, "lr": 4e-4},
            long={"ngf": 64, "ndf": 64, "lr": 2e-4},
        )
        config = resolve_preset(
            config,
            budget,
            paper={
                "num_downs": min(8, halvings),
                "upsampling": "transposed",
                "norm": "instance",
                "dropout": 0.5,
                "noise_planes": 0,
                "structural_loss": "none" if self.lambda_structural is None else "auto",
                "intensity_conditioning": False,
                "pixel_noise": False,
                "texture": False,
            },
            microscopy={
                "num_downs": min(7, max(halvings - 1, 1)),
                "upsampling": "bilinear",
                "norm": "instance" if budget.batch_size == 1 else "batch",
                "dropout": 0.0,
                "noise_planes": 1,
                "structural_loss": "auto",
                **self.additions(),
            },
        )
        bottleneck = 1 if config.upsampling == "transposed" else 2
        smallest_for_d = 3 * 2**config.n_layers_d
        side = max(smallest_for_d, bottleneck * 2 ** resolved(config.num_downs))
        if budget.patch_size < side:
            smaller = "" if budget.patch_size < smallest_for_d else ", or a smaller num_downs"
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for num_downs: {config.num_downs} and n_layers_d: "
                f"{config.n_layers_d}; give patches of {side} or more{smaller} (images must not be smaller than a "
                "patch)"
            )
        return config
