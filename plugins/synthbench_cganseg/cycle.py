"""The cycle: both directions, their loss terms, and one optimiser step of all networks.

Real mask → image → mask, and real image → mask → image. Of instances, the mask that comes back from a generated image
is compared by its foreground without inner borders alone (a choice of this project), so that a generator isn't rewarded
for painting the distance into the objects.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from synthbench.toolkit.generators.mask_to_image import ConditionedBatch
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.drawing import Drawing
from synthbench_cganseg.layers import StyledNetwork
from synthbench_cganseg.losses import cross_entropy, dice, lsgan
from synthbench_cganseg.networks import SegmentationUNet

__all__ = ["Cycle"]


class Cycle(Drawing):
    """Generator, segmentation network, two discriminators, and what they minimise.

    Parameters
    ----------
    generator, segmenter
        Mask → image, image → mask.
    discriminators
        Of ``image`` and ``mask``.
    perceptual
        None: images are compared by their absolute difference alone.
    config
        Resolved.
    semantic
        Whether a mask has a plane per class, or a distance and a foreground.
    object_planes
        How many of the intensity planes are statistics of single objects.
    random
        On the device of the networks.
    """

    def __init__(
        self,
        generator: StyledNetwork,
        segmenter: SegmentationUNet,
        discriminators: nn.ModuleDict,
        perceptual: Perceptual | None,
        config: CGanSegConfig,
        *,
        semantic: bool,
        object_planes: int,
        random: torch.Generator,
    ) -> None:
        super().__init__(generator, discriminators, perceptual, config, object_planes=object_planes, random=random)
        self.segmenter = segmenter
        self.semantic = semantic

    def terms(self, batch: ConditionedBatch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the terms of generator and segmenter by name, unweighted, and the fake image and mask."""
        image, mask = batch.image, batch.mask
        with autocast(image.device):
            generated = self.image_of(mask, batch.intensities)
            fake_image = generated + self.pixel_noise_and_texture(batch)
            logits = self.segmenter(image)
            fake_mask = self.mask_of(logits)
            mask_back = self.segmenter(fake_image)
            image_back = self.image_of(fake_mask, batch.intensities)
            features = [] if self.perceptual is None else self.perceptual.features_of(image)
            terms = {
                "image_gan": lsgan(self.discriminate("image", fake_image), real=True),
                "mask_gan": lsgan(self.discriminate("mask", fake_mask), real=True),
                "image_cycle": self.image_loss(image_back, image, features),
                "image_identity": self.image_loss(generated, image, features),
                "mask_cycle": self._mask_loss(mask_back[:, self._visible], mask[:, self._visible]),
                "mask_identity": self._mask_loss(logits, mask),
            }
        return terms, {"image": fake_image, "mask": fake_mask}

    def weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted sum of the terms of generator and segmenter."""
        return torch.stack([getattr(self.config, f"{name}_weight") * term for name, term in terms.items()]).sum()

    def step(
        self, batch: ConditionedBatch, opt_g: torch.optim.Optimizer, opt_d: torch.optim.Optimizer
    ) -> dict[str, torch.Tensor]:
        """Take one step of generator and segmenter, then one of the discriminators; return the terms by name."""
        self.discriminators.requires_grad_(False)
        terms, fake = self.terms(batch)
        opt_g.zero_grad(set_to_none=True)
        self.weighted(terms).backward()
        opt_g.step()
        self.discriminators.requires_grad_(True)
        loss_d = self.discriminator_loss({"image": batch.image, "mask": batch.mask}, fake)
        opt_d.zero_grad(set_to_none=True)
        loss_d.backward()
        opt_d.step()
        return {**terms, "discriminators": loss_d}

    def mask_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the mask of the segmenter's logits, ``(B, K, H, W)`` in −1 … 1.

        Classes and foregrounds are hard, unless `mask_gradient` is ``soft``; a distance is what it is.
        """
        soft = logits.float().softmax(dim=1) if self.semantic else logits.float().sigmoid()
        if self.config.mask_gradient == "soft":
            return 2 * soft - 1
        hard = soft.detach().clone()
        if self.semantic:
            hard = functional.one_hot(hard.argmax(dim=1), hard.shape[1]).movedim(-1, 1).to(soft)
        else:
            hard[:, 1] = (hard[:, 1] >= 0.5).to(hard)
        if self.config.mask_gradient == "straight-through":
            hard = soft + (hard - soft).detach()
        return 2 * hard - 1

    @property
    def _visible(self) -> slice:
        """The planes of a mask that an image shows."""
        return slice(None) if self.semantic else slice(1, None)

    def _mask_loss(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return cross-entropy plus Dice."""
        logits, target = logits.float(), (mask + 1) / 2
        probabilities = logits.softmax(dim=1) if self.semantic else logits.sigmoid()
        return cross_entropy(logits, target, semantic=self.semantic) + dice(probabilities, target)
