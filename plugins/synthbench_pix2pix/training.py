"""The training step of pix2pix: one step of the discriminator, then one of the generator (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from synthbench.toolkit.generators.adversarial_training import AdversarialTraining, descend
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_pix2pix.config import Pix2PixConfig
from synthbench_pix2pix.losses import Losses

__all__ = ["Pix2PixTraining"]


class Pix2PixTraining(AdversarialTraining):
    """The networks with their losses, and one training step.

    Parameters
    ----------
    generator, discriminator, batches, condition, random
        See `AdversarialTraining`.
    losses
    config
        Resolved.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        losses: Losses,
        config: Pix2PixConfig,
        batches: ConditionedBatches,
        condition: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        random: torch.Generator,
    ) -> None:
        super().__init__(generator, discriminator, batches, condition, random, (config.beta1, 0.999))
        self.losses = losses
        self.lr = resolved(config.lr)
        self.noise_planes = resolved(config.noise_planes)

    def step(self, number: int) -> dict[str, torch.Tensor]:
        for optimiser in (self.opt_g, self.opt_d):
            set_learning_rate(optimiser, self.lr * linear_tail(number, len(self.batches)))
        batch = self.batches[number]
        real, condition = batch.image, self.condition(batch.mask, batch.intensities)
        noise = self.noise(real, self.noise_planes + real.shape[1])
        z, pixel_noise = noise[:, : self.noise_planes], batch.pixel_noise * noise[:, self.noise_planes :]

        with autocast(real.device):
            generated = self.generator(torch.cat([condition, z], dim=1))
            fake = (generated.float() + pixel_noise).clamp(-1, 1)
            logits_real = self.discriminator(torch.cat([condition, real], dim=1))[-1]
            logits_fake = self.discriminator(torch.cat([condition, fake.detach()], dim=1))[-1]
        loss_d = self.losses.discriminator(logits_real, logits_fake)
        descend(self.opt_d, loss_d)

        self.discriminator.requires_grad_(False)
        with autocast(real.device):
            logits = self.discriminator(torch.cat([condition, fake], dim=1))[-1]
        loss_g, terms = self.losses.generator(logits, generated, real, (batch.mask + 1) / 2)
        descend(self.opt_g, loss_g)
        self.discriminator.requires_grad_(True)
        return {**terms, "discriminator": loss_d}
