"""The side of the cycle that draws: generator, discriminators, and what is said of drawn images."""

from __future__ import annotations

import torch
from torch import nn

from synthbench.toolkit.generators.mask_to_image import ConditionedBatch
from synthbench.toolkit.intensity.conditioning import conditioning_planes
from synthbench.toolkit.intensity.texture import random_texture
from synthbench.toolkit.training.augmentation import diff_augment
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.layers import StyledNetwork, mixed_noise
from synthbench_cganseg.losses import discriminator_loss, half_l1

__all__ = ["Drawing"]


class Drawing:
    """A generator in training, and its discriminators.

    Parameters
    ----------
    generator
        Mask → image.
    discriminators
        Of ``image``, and of ``mask`` if masks are discriminated.
    perceptual
        None: images are compared by their absolute difference alone.
    config
        Resolved.
    object_planes
        How many of the intensity planes are statistics of single objects.
    random
        On the device of the networks.
    """

    def __init__(
        self,
        generator: StyledNetwork,
        discriminators: nn.ModuleDict,
        perceptual: Perceptual | None,
        config: CGanSegConfig,
        *,
        object_planes: int,
        random: torch.Generator,
    ) -> None:
        self.generator = generator
        self.discriminators = discriminators
        self.perceptual = perceptual
        self.config = config
        self.object_planes = object_planes
        self.random = random

    def discriminator_loss(self, real: dict[str, torch.Tensor], fake: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the discriminators' losses on real and fake ``image`` and ``mask``."""
        with autocast(real["image"].device):
            losses = [
                discriminator_loss(self.discriminate(name, real[name]), self.discriminate(name, fake[name].detach()))
                for name in real
            ]
        return torch.stack(losses).sum()

    def image_of(self, mask: torch.Tensor, intensities: torch.Tensor) -> torch.Tensor:
        """Generate images for masks, each in a random style."""
        noise = mixed_noise(len(mask), self.generator.styles, self.config.mixed_prob, self.random)
        condition = conditioning_planes(mask, intensities, self.object_planes)
        image: torch.Tensor = self.generator(condition, noise, self.random)
        return image

    def pixel_noise_and_texture(self, batch: ConditionedBatch) -> torch.Tensor:
        """Return the pixel noise and the texture of the training images, drawn anew, ``(B, C, H, W)``."""
        strength = batch.pixel_noise
        noise = strength * torch.randn(strength.shape, generator=self.random, device=strength.device)
        return noise + random_texture(batch.texture, self.random) if batch.texture.shape[1] else noise

    def discriminate(self, name: str, planes: torch.Tensor) -> torch.Tensor:
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

    def image_loss(self, fake: torch.Tensor, real: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        """Return half the L1 distance plus the perceptual loss, if there is one."""
        loss = half_l1(fake, real)
        return loss if self.perceptual is None else loss + self.perceptual(fake, features)
