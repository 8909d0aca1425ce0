"""Hyper-parameters of pix2pix, and those that follow from the budget where they are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.training.budget_defaults import resolve_defaults
from synthbench_pix2pix.networks import Norm
from synthbench_pix2pix.structure import Structure

SMALLEST = 24
"""Side of the smallest patches that the discriminator can judge."""


class Pix2PixConfig(MaskConfig):
    """Hyper-parameters of pix2pix.

    Attributes
    ----------
    filters, discriminator_filters : int, optional
        Width of the generator and of the discriminator, at half resolution. Left open, they follow from the budget;
        see `resolve`.
    depth : int, optional
        How often the generator halves the resolution. Left open, it follows from the budget; see `resolve`.
    norm : {"batch", "instance", "none"}, optional
        Left open, ``batch``, but for steps of one patch ``instance``: Isola et al. normalise by the image itself, in
        training and when drawing, and one patch's running statistics are none of any other's.
    dropout : float
        In the two innermost decoders, in training and when drawing; the paper's only noise, 0.5.
    noise : int
        Planes of white noise beside the condition; 0 for none.
    intensity_conditioning : bool
        Whether the network is told the light of each image and each object; see
        `synthbench.toolkit.intensity.conditioning`.
    pixel_noise : bool
        Whether pixel noise, as strong as in each training image, is laid over what the network draws before the
        discriminator sees it, and over drawn samples as much as they lack (this project's choice). The absolute
        difference forbids the network to draw noise.
    texture : bool
        Whether drawn objects get the texture laid over that they lack beside the training object whose light they are
        told, for the same reason (this project's choice); not in training. Without `intensity_conditioning` there
        is none, nor where objects are hardly anything else; see `synthbench.toolkit.intensity.texture.BODY`.
    l1 : float
        Weight of the absolute difference against the adversarial term.
    structure : {"auto", "none", "weighted", "ssim", "cldice"}
        The structural term; see `synthbench_pix2pix.structure`. `auto` is ``cldice`` for a semantic dataset of thin
        lines, and ``none`` for any other. Beside 12 images of actin, 48 drawn with ``cldice`` gave a U-Net a Dice
        0.013 higher [−0.002, 0.028] and a clDice 0.010 higher [0.002, 0.018] than 48 drawn with none (one training of
        pix2pix each), and real images alone did no worse; ``weighted`` and ``ssim`` gave lower ones
        (`leaderboards/filaments-structure`).
    structure_weight : float or None
        Its weight; None for the candidate's own. Where `auto` comes to ``none``, it counts for nothing.
    learning_rate : float, optional
        Of Adam, constant for half of the steps and then falling to 0. Left open, it follows from the budget.
    mask_source, object_layout, foreground_fraction, touching_fraction
        Which masks images are drawn to; see `synthbench.toolkit.masks.config.MaskConfig`.
    """

    renamed: ClassVar[Mapping[str, str]] = {"appearance": "intensity_conditioning", "grain": "pixel_noise"}

    filters: int | None = Field(None, ge=4)
    discriminator_filters: int | None = Field(None, ge=4)
    depth: int | None = Field(None, ge=1, le=8)
    norm: Norm | None = None
    dropout: float = Field(0.0, ge=0, lt=1)
    noise: int = Field(1, ge=0)
    intensity_conditioning: bool = True
    pixel_noise: bool = True
    texture: bool = True
    l1: float = Field(100.0, ge=0)
    structure: Structure | Literal["auto"] = "auto"
    structure_weight: float | None = Field(None, gt=0)
    learning_rate: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if self.structure == "none" and self.structure_weight is not None:
            raise ValueError(f"structure_weight: {self.structure_weight:g} needs a structure, and there is none")
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        A long training has the paper's widths and learning rate, and halves the resolution until 2 × 2 points are left,
        seven times at most; the sizes of a short one are this project's choice. In both, the noise is this project's
        too: the papers' is ``dropout: 0.5,
        noise: 0, intensity_conditioning: false, pixel_noise: false, texture: false``.

        Raises
        ------
        ConfigError
            If the patches are too small for the depth, or for the discriminator.
        """
        deepest = max((budget.patch_size // 2).bit_length() - 1, 1)
        norm = "instance" if budget.batch_size == 1 else "batch"
        found = resolve_defaults(
            self,
            budget,
            short={"filters": 24, "discriminator_filters": 16, "depth": 4, "learning_rate": 4e-4, "norm": norm},
            long={
                "filters": 64,
                "discriminator_filters": 64,
                "depth": min(7, deepest),
                "learning_rate": 2e-4,
                "norm": norm,
            },
        )
        side = max(SMALLEST, 2 * 2 ** (found.depth or 0))
        if budget.patch_size < side:
            shallower = ", or a smaller depth" if budget.patch_size >= SMALLEST else ""
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for a depth of {found.depth}; give patches of {side} or "
                f"more{shallower} (images smaller than a patch can't take part)"
            )
        return found
