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
from synthbench.toolkit.intensity.conditioning import conditioning_planes
from synthbench.toolkit.intensity.texture import random_texture
from synthbench.toolkit.training.augmentation import diff_augment
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.layers import StyledNetwork, mixed_noise
from synthbench_cganseg.losses import cross_entropy, dice, discriminator_loss, half_l1, lsgan
from synthbench_cganseg.networks import SegmentationUNet

__all__ = ["Cycle"]


class Cycle:
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
        self.generator = generator
        self.segmenter = segmenter
        self.discriminators = discriminators
        self.perceptual = perceptual
        self.config = config
        self.semantic = semantic
        self.object_planes = object_planes
        self.random = random

    def terms(self, batch: ConditionedBatch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Return the terms of generator and segmenter by name, unweighted, and the fake image and mask."""
        image, mask = batch.image, batch.mask
        with autocast(image.device):
            generated = self.image_of(mask, batch.intensities)
            fake_image = generated + self._pixel_noise_and_texture(batch)
            logits = self.segmenter(image)
            fake_mask = self.mask_of(logits)
            mask_back = self.segmenter(fake_image)
            image_back = self.image_of(fake_mask, batch.intensities)
            features = [] if self.perceptual is None else self.perceptual.features_of(image)
            terms = {
                "image_gan": lsgan(self._discriminate("image", fake_image), real=True),
                "mask_gan": lsgan(self._discriminate("mask", fake_mask), real=True),
                "image_cycle": self._image_loss(image_back, image, features),
                "image_identity": self._image_loss(generated, image, features),
                "mask_cycle": self._mask_loss(mask_back[:, self._visible], mask[:, self._visible]),
                "mask_identity": self._mask_loss(logits, mask),
            }
        return terms, {"image": fake_image, "mask": fake_mask}

    def weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the weighted sum of the terms of generator and segmenter."""
        return torch.stack([getattr(self.config, f"{name}_weight") * term for name, term in terms.items()]).sum()

    def discriminator_loss(self, real: dict[str, torch.Tensor], fake: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the discriminators' losses on real and fake ``image`` and ``mask``."""
        with autocast(real["image"].device):
            losses = [
                discriminator_loss(self._discriminate(name, real[name]), self._discriminate(name, fake[name].detach()))
                for name in real
            ]
        return torch.stack(losses).sum()

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

    def image_of(self, mask: torch.Tensor, intensities: torch.Tensor) -> torch.Tensor:
        """Generate images for masks, each in a random style."""
        noise = mixed_noise(len(mask), self.generator.styles, self.config.mixed_prob, self.random)
        condition = conditioning_planes(mask, intensities, self.object_planes)
        image: torch.Tensor = self.generator(condition, noise, self.random)
        return image

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

    def _pixel_noise_and_texture(self, batch: ConditionedBatch) -> torch.Tensor:
        """Return the pixel noise and the texture of the training images, drawn anew, ``(B, C, H, W)``."""
        strength = batch.pixel_noise
        noise = strength * torch.randn(strength.shape, generator=self.random, device=strength.device)
        return noise + random_texture(batch.texture, self.random) if batch.texture.shape[1] else noise

    def _discriminate(self, name: str, planes: torch.Tensor) -> torch.Tensor:
        """Return a discriminator's logits of augmented images or masks."""
        logits: torch.Tensor = self.discriminators[name](self._augmented(planes, is_image=name == "image"))
        return logits

    def _augmented(self, planes: torch.Tensor, *, is_image: bool) -> torch.Tensor:
        """Return planes after the differentiable augmentation (Zhao et al. 2020)."""
        channels, p = planes.shape[1] if is_image else 0, self.config.p_diff
        if self.config.diff_augment == "sample":
            return diff_augment(planes, channels, p=p, random=self.random)
        if not is_image or float(torch.rand((), generator=self.random, device=self.random.device)) >= p:
            return planes
        return diff_augment(planes, channels, p=1.0, random=self.random)

    def _image_loss(self, fake: torch.Tensor, real: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        """Return half the L1 distance plus the perceptual loss, if there is one."""
        loss = half_l1(fake, real)
        return loss if self.perceptual is None else loss + self.perceptual(fake, features)

    @property
    def _visible(self) -> slice:
        """The planes of a mask that an image shows."""
        return slice(None) if self.semantic else slice(1, None)

    def _mask_loss(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return cross-entropy plus Dice."""
        logits, target = logits.float(), (mask + 1) / 2
        probabilities = logits.softmax(dim=1) if self.semantic else logits.sigmoid()
        return cross_entropy(logits, target, semantic=self.semantic) + dice(probabilities, target)
