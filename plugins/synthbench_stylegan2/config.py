"""Hyper-parameters of StyleGAN2 with masks, and the two presets that give those that are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.conditions import ConditionConfig
from synthbench.toolkit.generators.config import PresetConfig
from synthbench.toolkit.training.budget_defaults import non_default, resolve_preset, resolved
from synthbench_stylegan2.networks import BASE_SIDE

__all__ = ["StyleGan2MaskConfig"]

_LARGE_SIDE = 512
"""From this side on, stylegan2-ada-pytorch has twice as many channels at each resolution."""
PAPER: Mapping[str, Any] = {
    "mask_encoding": "grey",
    "channel_max": 512,
    "pixel_unshuffle_factor": 1,
    "resampling": "filtered",
    "diff_augment": True,
    "pl_weight": 2.0,
    "r1_images": "original",
}
MICROSCOPY: Mapping[str, Any] = {
    "mask_encoding": "distance",
    "channel_max": 64,
    "channel_base": 1024,
    "pixel_unshuffle_factor": 4,
    "resampling": "cheap",
    "diff_augment": False,
    "pl_weight": 0.0,
    "r1_images": "augmented",
}


class StyleGan2MaskConfig(ConditionConfig, PresetConfig):
    """Hyper-parameters of `synthbench_stylegan2.generator.StyleGan2Mask`.

    Names are those of stylegan2-ada-pytorch and, for ReACGAN's loss, of PyTorch-StudioGAN. "The paper" is Lesmes-Leon
    et al., ICAART 2025; where it gives a value, that is the default. Fields whose default is None are set by the
    preset.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "mask": "mask_encoding",
        "levels": "grey_levels",
        "group": "condition_on",
        "class_group": "condition_on",
        "channels": "channel_max",
        "base": "channel_base",
        "fold": "pixel_unshuffle_factor",
        "latent": "z_dim",
        "embedding": "d_embed_dim",
        "d2d": "cond_lambda",
        "margin": "m_p",
        "r1": "r1_gamma",
        "path": "pl_weight",
        "r1_every": "d_reg_interval",
        "path_every": "g_reg_interval",
        "mixing": "style_mixing_prob",
        "sure": "ada_target",
        "rise": "ada_kimg",
        "decay": "ema_decay",
        "check_every": "selection_interval",
    }

    mask_encoding: Literal["grey", "distance", "none"] | None = Field(
        None,
        description="instances as the paper's grey-level mask, or as distance and foreground; none draws images with "
        "empty label maps, for measuring fidelity. Semantic masks always have a plane per class",
    )
    grey_levels: int = Field(
        4, ge=1, le=32, description="grey levels of mask_encoding: grey; the paper: 4 for LIVECell, 3 for TissueNet"
    )
    channel_max: int | None = Field(None, ge=4, description="largest number of channels of both networks")
    channel_base: int | None = Field(
        None,
        ge=32,
        description="channels at resolution r are channel_base / r, up to channel_max; stylegan2-ada-pytorch: 16,384, "
        "and 32,768 for images of 512² or more",
    )
    pixel_unshuffle_factor: Literal[1, 2, 4] | None = Field(
        None, description="how many times smaller than the image the networks' highest resolution is; 1 as published"
    )
    resampling: Literal["filtered", "cheap"] | None = Field(
        None,
        description="filtered: StyleGAN2's (1, 3, 3, 1) filter around strided convolutions; cheap: convolutions at the "
        "lower resolution, and 2×2 means in the discriminator",
    )
    z_dim: int = Field(512, ge=2, description="length of z")
    w_dim: int = Field(512, ge=2, description="length of w")
    mapping_layers: int = Field(
        2, ge=1, le=8, description="layers of the mapping network; the paper: 2 for LIVECell, 4 for TissueNet"
    )
    d_embed_dim: int = Field(2048, ge=2, description="length of the embeddings of D2D-CE; only with classes")
    cond_lambda: float = Field(0.5, ge=0, description="weight of D2D-CE (ReACGAN, arXiv 2111.01118)")
    m_p: float = Field(0.9, ge=0, le=1, description="positive margin of D2D-CE; the negative one is 1 − m_p")
    temperature: float = Field(0.25, gt=0, description="temperature τ of D2D-CE")
    learning_rate: float = Field(
        2.5e-3, gt=0, le=1, description="of both Adam optimisers; the paper: 5e-4 for TissueNet"
    )
    r1_gamma: float = Field(0.2, ge=0, description="γ of the R1 penalty γ / 2 · |∇D|² (Mescheder et al. 2018); 0: none")
    r1_images: Literal["original", "augmented"] | None = Field(
        None,
        description="the real images that the gradient of R1 is taken with respect to: before augmentation, as in "
        "stylegan2-ada-pytorch, or after it",
    )
    d_reg_interval: int = Field(16, ge=1, description="R1 is added in every n-th step, times n")
    pl_weight: float | None = Field(
        None, ge=0, description="weight of the path-length penalty (StyleGAN2, eq. 4); the paper: 2; 0: none"
    )
    g_reg_interval: int = Field(4, ge=1, description="the path-length penalty is added in every n-th step, times n")
    pl_batch_shrink: int = Field(
        2, ge=1, description="the path length is measured on batch_size / pl_batch_shrink images"
    )
    pl_decay: float = Field(0.01, gt=0, le=1, description="of the moving average of the path length")
    style_mixing_prob: float = Field(
        0.9, ge=0, le=1, description="probability that the images of a batch mix the styles of two z"
    )
    diff_augment: bool | None = Field(
        None, description="whether all that the discriminator sees is augmented by DiffAugment (arXiv 2006.10738)"
    )
    ada: bool = Field(
        True, description="whether it is augmented with the adaptive probability p too (ADA, arXiv 2006.06676)"
    )
    apa: bool = Field(
        True,
        description="whether, with the probability p, generated images are presented as real (APA, arXiv 2111.06849)",
    )
    ada_target: float = Field(
        0.6,
        ge=-1,
        le=1,
        description="p rises while r_t = E[sign(D(real))] exceeds this, and else falls (ADA, sec. 3.1)",
    )
    ada_kimg: float = Field(500.0, gt=0, description="thousands of images in which p can change by 1")
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="of the moving average of the generator's weights, which draws the samples"
    )
    selection_interval: int = Field(
        500, ge=1, description="steps between comparisons of drawn and training patches; the best weights are kept"
    )

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        Raises
        ------
        ConfigError
            If the networks can't draw patches of that size, or an option has no effect.
        """
        paper = {**PAPER, "channel_base": 32_768 if budget.patch_size >= _LARGE_SIDE else 16_384}
        config = resolve_preset(self, budget, paper=paper, microscopy=MICROSCOPY)
        factor, side = resolved(config.pixel_unshuffle_factor), budget.patch_size
        smallest = 2 * BASE_SIDE * factor
        if side < smallest or side & (side - 1):
            nearest = max(smallest, 1 << (side.bit_length() - 1))
            hint = ", or a smaller pixel_unshuffle_factor" if side < smallest and factor > 1 else ""
            raise ConfigError(f"patch size {side} isn't a power of two ≥ {smallest}; use --patch {nearest}{hint}")
        if config.mask_encoding != "grey" and (unused := non_default(self, ("grey_levels",))):
            raise ConfigError(
                f"{unused[0]} requires mask_encoding: grey, and it is {config.mask_encoding}; give mask_encoding: grey"
            )
        if not (self.ada or self.apa) and (unused := non_default(self, ("ada_target", "ada_kimg"))):
            raise ConfigError(f"{unused[0]} requires ada or apa, and both are off")
        for weight, interval in (("r1_gamma", "d_reg_interval"), ("pl_weight", "g_reg_interval")):
            if not getattr(config, weight) and (unused := non_default(self, (interval,))):
                raise ConfigError(f"{unused[0]} requires {weight}, which is 0 here; give {weight} too")
        return config
