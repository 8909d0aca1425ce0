"""What can be set on cGAN-Seg."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthbench import Config
from synthbench.toolkit.masks import Layout

Handover = Literal["straight-through", "soft"]


class CGanSegConfig(Config):
    """Hyper-parameters of cGAN-Seg.

    Attributes
    ----------
    filters, depth : int
        Width of the StyleUNet at full resolution, and how often it halves that; the paper has 64 and 4.
    segmenter_filters : int
        Width of the segmenter at full resolution; the paper has 64.
    discriminator_filters, heads, head_width : int
        Of the discriminators and of their attention; the paper has 8 heads of 64.
    style : bool
        Without it the generator is a plain U-Net: no style, no noise (an ablation of the paper).
    mixing : float
        Chance that an image is drawn in two styles in training.
    perceptual : str
        Network whose features compare images: ``"auto"`` takes VGG19 if its weights are at hand, else SqueezeNet if
        its are, else none; ``"off"``, none (an ablation of the paper); or a torchvision network by name, which must
        have its weights. What came of it stands in ``training.json`` beside the weights of a fitted generator.
    perceptual_weights : Path or None
        Its state dict, as safetensors or as a torch checkpoint. Without it, the file that torchvision would download
        is looked for where torchvision would put it.
    augment : float
        Chance of each differentiable augmentation of what the discriminators see: light, translation, cutout.
    adversarial : float
        Weight of each discriminator's verdict.
    image_cycle, mask_cycle : float
        Weights of what comes back from a round through both networks.
    image_pair, mask_pair : float
        Weights of what is drawn to the other half of a training pair, which the paper calls identity.
    handover : {"straight-through", "soft"}
        How the segmenter's mask is handed to the generator and the discriminator; see `synthbench_cganseg.cycle`.
    learning_rate : float
        Of Adam, constant for half of the steps and then falling to 0; the paper has 1e-4 throughout.
    masks : {"auto", "train", "recombine", "mixed"}
        Which masks images are drawn to; see `synthbench.toolkit.masks.MaskSampler`. `auto` is `mixed` for instances
        and `train` for a semantic dataset. The paper's dense images are ``recombine`` with a `density`, scattered or
        as colonies (``layout: discs``).
    layout, density, touching
        Of recombined masks; see there.
    """

    filters: int = Field(8, ge=2)
    depth: int = Field(4, ge=1, le=6)
    segmenter_filters: int = Field(8, ge=2)
    discriminator_filters: int = Field(16, ge=2)
    heads: int = Field(2, ge=1)
    head_width: int = Field(16, ge=1)
    style: bool = True
    mixing: float = Field(0.9, ge=0, le=1)
    perceptual: str = "auto"
    perceptual_weights: Path | None = None
    augment: float = Field(0.2, ge=0, le=1)
    adversarial: float = Field(1.0, ge=0)
    image_cycle: float = Field(100.0, ge=0)
    image_pair: float = Field(50.0, ge=0)
    mask_cycle: float = Field(100.0, ge=0)
    mask_pair: float = Field(50.0, ge=0)
    handover: Handover = "straight-through"
    learning_rate: float = Field(1e-3, gt=0)
    masks: Literal["auto", "train", "recombine", "mixed"] = "auto"
    layout: Layout = "scatter"
    density: float | None = Field(None, ge=0, le=1)
    touching: float | None = Field(None, ge=0, le=1)
