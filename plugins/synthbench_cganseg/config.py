"""Hyper-parameters of cGAN-Seg, and those that follow from the budget where they are left open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults
from synthbench_cganseg.networks import Norm
from synthbench_cganseg.perceptual import choose

Handover = Literal["straight-through", "soft"]

_WIDTHS = ("filters", "segmenter_filters", "discriminator_filters", "heads", "head_width")

SMALLEST = 24
"""Side of the smallest patches that the discriminators can judge."""


class CGanSegConfig(MaskConfig):
    """Hyper-parameters of cGAN-Seg.

    Attributes
    ----------
    filters : int, optional
        Width of the StyleUNet at full resolution. Left open, it follows from the budget; see `resolve`.
    depth : int
        How often the StyleUNet halves the resolution.
    segmenter_filters : int, optional
        Width of the segmenter at full resolution. Left open, it follows from the budget.
    discriminator_filters : int, optional
        Width of the discriminators at half resolution. Left open, it follows from the budget.
    heads, head_width : int, optional
        Of the discriminators' attention. Left open, they follow from the budget.
    norm : {"batch", "pixel"}, optional
        Of the StyleUNet; see `synthbench_cganseg.networks`. With ``pixel`` an image is the same in training and when
        drawing, whatever was drawn beside it. Left open, it follows from the budget.
    style : bool
        Without it the generator is a plain U-Net: no style, no noise (an ablation of the paper).
    mixing : float
        Chance that an image is drawn in two styles in training.
    perceptual : str, optional
        Network whose features compare images, as torchvision calls it: a VGG, like ``"vgg19"``, AlexNet or a
        SqueezeNet; its weights must be there. Or ``"off"`` for none (an ablation of the paper). Left open, it follows
        from the budget. Which weights it was stands in ``training.json`` beside a fitted generator.
    perceptual_weights : Path or None
        Its state dict, as safetensors or as a torch checkpoint. Without it, the file that torchvision would download
        is looked for where torchvision would put it.
    augment : float
        Chance of each differentiable augmentation of what the discriminators see: light, translation, cutout. Drawn
        for each image and augmentation, and for masks too; the published code draws it once for a batch of images.
    intensity_conditioning : bool, optional
        Whether the generator is told the light of the image and of its objects beside the mask (this project's choice);
        see `synthbench.toolkit.intensity.conditioning`. Left open, it follows from the budget.
    pixel_noise : bool
        Whether drawn images get the pixel noise of a training image, in training before the other networks see them,
        and then as much as they lack (this project's choice); see `synthbench.toolkit.intensity.pixel_noise`. Without
        it the discriminator knows drawn images by their lack of noise, and asks for nothing else.
    texture : bool
        Whether drawn objects get the texture of training objects of similar size in the same way (this project's
        choice); see `synthbench.toolkit.intensity.texture`. It needs `intensity_conditioning`, and isn't added where
        objects are hardly anything else; see `synthbench.toolkit.intensity.texture.MAX_TEXTURE_RATIO`.
    image_gan, mask_gan : float, optional
        Weight of each discriminator's verdict. Left open, they follow from the budget.
    judges_rate : float, optional
        Learning rate of the discriminators, against the generators'. Left open, it follows from the budget.
    image_cycle, mask_cycle : float
        Weights of what comes back from a round through both networks. Left open, `mask_cycle` follows from the budget.
    image_pair, mask_pair : float
        Weights of what is drawn to the other half of a training pair, which the paper calls identity.
    handover : {"straight-through", "soft"}
        How the segmenter's mask is handed to the generator and the discriminator; see `synthbench_cganseg.cycle`.
    learning_rate : float, optional
        Of Adam, constant for half of the steps and then falling to 0; in the paper it doesn't fall. Left open, it
        follows from the budget.
    momentum : float, optional
        Adam's first β. Left open, it follows from the budget.
    mask_source, object_layout, foreground_fraction, touching_fraction
        Which masks images are drawn to; see `synthbench.toolkit.masks.config.MaskConfig`. The paper's dense
        images are ``mask_source: recombine`` with a `foreground_fraction`, scattered or as colonies
        (``object_layout: discs``).
    """

    renamed: ClassVar[Mapping[str, str]] = {"appearance": "intensity_conditioning", "grain": "pixel_noise"}

    filters: int | None = Field(None, ge=2)
    depth: int = Field(4, ge=1, le=6)
    segmenter_filters: int | None = Field(None, ge=2)
    discriminator_filters: int | None = Field(None, ge=2)
    heads: int | None = Field(None, ge=1)
    head_width: int | None = Field(None, ge=1)
    norm: Norm | None = None
    style: bool = True
    mixing: float = Field(0.9, ge=0, le=1)
    perceptual: str | None = None
    perceptual_weights: Path | None = None
    augment: float = Field(0.2, ge=0, le=1)
    intensity_conditioning: bool | None = None
    pixel_noise: bool = True
    texture: bool = True
    image_gan: float | None = Field(None, ge=0)
    mask_gan: float | None = Field(None, ge=0)
    judges_rate: float | None = Field(None, gt=0)
    image_cycle: float = Field(100.0, ge=0)
    image_pair: float = Field(50.0, ge=0)
    mask_cycle: float | None = Field(None, ge=0)
    mask_pair: float = Field(50.0, ge=0)
    handover: Handover = "straight-through"
    learning_rate: float | None = Field(None, gt=0)
    momentum: float | None = Field(None, ge=0, lt=1)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        A long training has the paper's sizes, weights, perceptual network and learning rate, and the momentum of its
        code (the discriminators' first width is open there: that of the other networks; its patches are 512 × 768, here
        they are square). What a short one has is this project's choice: no perceptual network, so that it needs no
        weights of others; a generator that is told the light of the objects, because it doesn't learn in that time to
        draw it from a style; pixel norm, because batch norm of two patches draws otherwise in training than when
        drawing; discriminators that weigh more and learn more slowly: on phase contrast, 1,000 steps with the paper's
        weights drew flat shapes (kernel distance 4.8 million, on SqueezeNet), 600 steps with ten times as much halos
        and bodies (3.4 million), and now they weigh 50 (images) and 10 (masks) times as much; and a tenth of the weight
        for masks that come back, which seem to be easiest to find in hard and bright objects. What it comes to stands
        in `docs/generators.md`.

        Raises
        ------
        ConfigError
            If the patches are too small for the depth, or for the discriminators, or an option would have no effect.
        """
        side = max(SMALLEST, 2 * 2**self.depth)
        if not self.style and (idle := non_default(self, ("mixing",))):
            raise ConfigError(f"{idle[0]} is of styles, and with style: false there are none; leave it out")
        if budget.patch_size < side:
            shallower = ", or a smaller depth" if budget.patch_size >= SMALLEST else ""
            raise ConfigError(
                f"patches of {budget.patch_size} are too small for a depth of {self.depth}; give patches of {side} or "
                f"more{shallower} (images smaller than a patch can't take part)"
            )
        return resolve_defaults(
            self,
            budget,
            short={
                **dict(zip(_WIDTHS, (8, 8, 16, 2, 16), strict=True)),
                "norm": "pixel",
                "intensity_conditioning": True,
                "perceptual": "off",
                "image_gan": 50.0,
                "mask_gan": 10.0,
                "judges_rate": 0.4,
                "mask_cycle": 10.0,
                "learning_rate": 1e-3,
                "momentum": 0.5,
            },
            long={
                **dict(zip(_WIDTHS, (64, 64, 64, 8, 64), strict=True)),
                "norm": "batch",
                "intensity_conditioning": False,
                "perceptual": "vgg19",
                "image_gan": 1.0,
                "mask_gan": 1.0,
                "judges_rate": 1.0,
                "mask_cycle": 100.0,
                "learning_rate": 1e-4,
                "momentum": 0.9,
            },
        )

    def files(self) -> Mapping[str, Path]:
        """Return the weights of the network that compares images."""
        path = choose(self.perceptual or "off", self.perceptual_weights).path
        return {"perceptual": path} if path else {}
