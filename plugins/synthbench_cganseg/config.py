"""Hyper-parameters of cGAN-Seg.

Sources are the paper (Zargari et al., "Enhanced cell segmentation with limited training datasets using cycle generative
adversarial networks", iScience 2024) and its published code (abzargar/cGAN-Seg), whose names stand in brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults, resolve_preset
from synthbench.toolkit.training.perceptual_loss import PerceptualConfig

__all__ = ["CGanSegConfig"]

_MIN_DISCRIMINATOR_PATCH = 24


class CGanSegConfig(PerceptualConfig, PresetConfig, MaskToImageConfig):
    """Hyper-parameters of cGAN-Seg."""

    renamed: ClassVar[Mapping[str, str]] = {
        "filters": "gen_filters",
        "depth": "gen_depth",
        "segmenter_filters": "seg_filters",
        "discriminator_filters": "ndf",
        "heads": "attention_heads",
        "head_width": "attention_dim_head",
        "mixing": "mixed_prob",
        "augment": "p_diff",
        "image_gan": "image_gan_weight",
        "mask_gan": "mask_gan_weight",
        "judges_rate": "d_lr_ratio",
        "image_cycle": "image_cycle_weight",
        "mask_cycle": "mask_cycle_weight",
        "image_pair": "image_identity_weight",
        "mask_pair": "mask_identity_weight",
        "handover": "mask_gradient",
        "learning_rate": "lr",
        "momentum": "beta1",
    }

    architecture: Literal["paper", "microscopy"] | None = Field(
        None,
        description="paper: StyleUNet and discriminators of the published code; microscopy: without transposed "
        "convolutions and without norm in the discriminators (additions of this project; see "
        "synthbench_cganseg.microscopy)",
    )
    gen_filters: int | None = Field(
        None, ge=2, description="planes of the StyleUNet at full resolution (StyleUnetGenerator)"
    )
    gen_depth: int = Field(4, ge=1, le=6, description="how often the StyleUNet halves the resolution")
    seg_filters: int | None = Field(
        None, ge=2, description="planes of the segmentation U-Net at full resolution (UnetSegmentation)"
    )
    ndf: int | None = Field(None, ge=2, description="planes of the discriminators' first layer (NLayerDiscriminator)")
    attention_heads: int | None = Field(
        None, ge=1, description="heads of the discriminators' linear attention (Shen et al. 2021)"
    )
    attention_dim_head: int | None = Field(None, ge=1, description="planes of a head of the linear attention")
    norm: Literal["batch", "pixel"] | None = Field(
        None,
        description="norm of the StyleUNet: batch norm in the encoder, or pixel norm in all layers (an addition of "
        "this project; only with architecture: microscopy)",
    )
    style: bool = Field(True, description="false: a plain U-Net without style and noise, an ablation of the paper")
    mixed_prob: float = Field(
        0.9, ge=0, le=1, description="probability that an image gets two styles in training (Karras et al. 2019, 3.1)"
    )
    diff_augment: Literal["batch", "sample"] | None = Field(
        None,
        description="differentiable augmentation of what discriminators see. batch: images only, all augmentations for "
        "a whole batch or none; sample: each augmentation of each image and mask by itself (an "
        "addition of this project)",
    )
    p_diff: float = Field(
        0.2, ge=0, le=1, description="probability of the differentiable augmentation (Zhao et al. 2020)"
    )
    mask_gradient: Literal["none", "straight-through", "soft"] | None = Field(
        None,
        description="gradient of the mask that the segmentation network hands over. none: hard masks without a "
        "gradient; straight-through: hard masks with the gradient of the probabilities; soft: probabilities (the last "
        "two are additions of this project)",
    )
    image_gan_weight: float | None = Field(
        None, ge=0, description="weight of the image discriminator's LSGAN loss (d_img_loss; Mao et al. 2017)"
    )
    mask_gan_weight: float | None = Field(
        None, ge=0, description="weight of the mask discriminator's LSGAN loss (d_mask_loss)"
    )
    image_cycle_weight: float = Field(
        100.0, ge=0, description="weight of L1/2 plus perceptual loss, image → mask → image (rec_img_loss)"
    )
    mask_cycle_weight: float | None = Field(
        None, ge=0, description="weight of cross-entropy plus Dice, mask → image → mask (rec_mask_loss)"
    )
    image_identity_weight: float = Field(
        50.0,
        ge=0,
        description="weight of L1/2 plus perceptual loss between the image of a mask and its own image (id_img_loss)",
    )
    mask_identity_weight: float = Field(
        50.0,
        ge=0,
        description="weight of cross-entropy plus Dice between the mask of an image and its own mask (id_mask_loss)",
    )
    lr: float | None = Field(None, gt=0, le=1, description="learning rate of Adam")
    lr_decay: bool | None = Field(
        None,
        description="whether the learning rate falls linearly to 0 in the second half (an addition of this project); "
        "it is constant in the paper",
    )
    d_lr_ratio: float | None = Field(
        None, gt=0, description="learning rate of the discriminators, relative to lr; 1 in the paper"
    )
    beta1: float | None = Field(None, ge=0, lt=1, description="Adam's β₁")

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Widths and the learning rate follow from the budget, the paper's in a long training; everything else follows
        from the preset. `docs/ablations.md` says what the preset `microscopy` brings.

        Raises
        ------
        ConfigError
            If the patches are too small for the networks, or a key has no effect.
        """
        if not self.style and (unused := non_default(self, ("mixed_prob",))):
            raise ConfigError(f"{unused[0]} has no effect with style: false; remove it")
        side = max(_MIN_DISCRIMINATOR_PATCH, 2 * 2**self.gen_depth)
        if budget.patch_size < side:
            smaller = ", or a smaller gen_depth" if budget.patch_size >= _MIN_DISCRIMINATOR_PATCH else ""
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for gen_depth: {self.gen_depth}; give patches of {side} "
                f"or more{smaller} (images must not be smaller than a patch)"
            )
        sizes = ("gen_filters", "seg_filters", "ndf", "attention_heads", "attention_dim_head", "lr")
        resolved = resolve_preset(
            resolve_defaults(
                self,
                budget,
                short=dict(zip(sizes, (8, 8, 16, 2, 16, 1e-3), strict=True)),
                long=dict(zip(sizes, (64, 64, 64, 8, 64, 1e-4), strict=True)),
            ),
            budget,
            paper={
                "architecture": "paper",
                "norm": "batch",
                "intensity_conditioning": False,
                "pixel_noise": False,
                "texture": False,
                "perceptual": "vgg19",
                "diff_augment": "batch",
                "mask_gradient": "none",
                "image_gan_weight": 1.0,
                "mask_gan_weight": 1.0,
                "mask_cycle_weight": 100.0,
                "lr_decay": False,
                "d_lr_ratio": 1.0,
                "beta1": 0.9,
            },
            microscopy={
                "architecture": "microscopy",
                "norm": "pixel",
                **self.additions(),
                "perceptual": "off",
                "diff_augment": "sample",
                "mask_gradient": "straight-through",
                "image_gan_weight": 50.0,
                "mask_gan_weight": 10.0,
                "mask_cycle_weight": 10.0,
                "lr_decay": True,
                "d_lr_ratio": 0.4,
                "beta1": 0.5,
            },
        )
        if resolved.norm == "pixel" and resolved.architecture == "paper":
            raise ConfigError("norm: pixel requires architecture: microscopy; set norm: batch")
        return resolved
