"""The training step of SPADE: one step of the generator, then one of the discriminators on newly drawn images."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from synthbench.toolkit.generators.adversarial_training import AdversarialTraining
from synthbench.toolkit.generators.mask_to_image import ConditionedBatch, ConditionedBatches
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.training.adversarial import feature_matching, hinge_discriminator, hinge_generator
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_spade.config import SpadeConfig

__all__ = ["SpadeTraining"]

Features = list[list[torch.Tensor]]
"""Of discriminators, by resolution and layer; the last of each resolution are the logits."""


class SpadeTraining(AdversarialTraining):
    """The networks with a perceptual loss, and one training step.

    Parameters
    ----------
    generator, discriminator, batches, condition, random
        See `AdversarialTraining`.
    perceptual
        None: no perceptual loss.
    config
        Resolved.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: MultiscaleDiscriminator,
        perceptual: Perceptual | None,
        config: SpadeConfig,
        batches: ConditionedBatches,
        condition: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        random: torch.Generator,
    ) -> None:
        super().__init__(generator, discriminator, batches, condition, random, (config.beta1, config.beta2))
        self.perceptual = perceptual
        self.config = config

    def step(self, number: int) -> dict[str, torch.Tensor]:
        lr = resolved(self.config.lr) * (linear_tail(number, len(self.batches)) if self.config.lr_decay else 1.0)
        set_learning_rate(self.opt_g, lr / 2)
        set_learning_rate(self.opt_d, lr * 2)
        batch = self.batches[number]
        condition = self.condition(batch.mask, batch.intensities)

        self.discriminator.requires_grad_(False)
        with autocast(condition.device):
            generated, fake = self._draw(condition, batch)
            features_fake, features_real = self._discriminate(condition, fake, batch.image)
            terms = {"gan": _mean(hinge_generator(scale[-1]) for scale in features_fake)}
            terms["features"] = feature_matching(features_fake, features_real)
            if self.perceptual is not None:
                terms["perceptual"] = self.perceptual(generated, self.perceptual.features_of(batch.image))
        weights = {"features": self.config.lambda_feat, "perceptual": self.config.lambda_vgg}
        loss_g = torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()

        self.discriminator.requires_grad_(True)
        with autocast(condition.device):
            with torch.no_grad():
                _, fake = self._draw(condition, batch)
            features_fake, features_real = self._discriminate(condition, fake, batch.image)
            loss_d = _mean(hinge_discriminator(scale[-1], real=True) for scale in features_real)
            loss_d = loss_d + _mean(hinge_discriminator(scale[-1], real=False) for scale in features_fake)
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        return {**terms, "discriminator": loss_d}

    def _draw(self, condition: torch.Tensor, batch: ConditionedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return generated images, and the same with pixel noise, which the discriminators see."""
        z = self.noise(condition, resolved(self.config.noise_planes))
        generated = self.generator(torch.cat([condition, z], dim=1)).float()
        pixel_noise = batch.pixel_noise * self.noise(condition, generated.shape[1])
        return generated, (generated + pixel_noise).clamp(-1, 1)

    def _discriminate(
        self, condition: torch.Tensor, fake: torch.Tensor, real: torch.Tensor
    ) -> tuple[Features, Features]:
        """Return the features of drawn and of real images, from one batch of both."""
        both = torch.cat([torch.cat([condition, fake], dim=1), torch.cat([condition, real], dim=1)])
        features: Features = self.discriminator(both)
        halves = [[layer.chunk(2) for layer in scale] for scale in features]
        fake_half, real_half = ([[layer[half] for layer in scale] for scale in halves] for half in (0, 1))
        return fake_half, real_half


def _mean(losses: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses)).mean()
