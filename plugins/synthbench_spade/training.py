"""The training step of SPADE: one step of the generator, then one of the discriminators on newly drawn images."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from synthbench.toolkit.generators.adversarial_training import descend
from synthbench.toolkit.generators.feature_matching import FeatureMatchingGenerator, FeatureMatchingTraining, Features
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.adversarial import hinge_discriminator, hinge_generator
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_spade.config import SpadeConfig

__all__ = ["SpadeTraining"]


class SpadeTraining(FeatureMatchingTraining):
    """The networks with a perceptual loss, and one training step; see `FeatureMatchingTraining`."""

    def __init__(
        self, method: FeatureMatchingGenerator[SpadeConfig], batches: ConditionedBatches, random: torch.Generator
    ) -> None:
        super().__init__(method, batches, random, (method.config.beta1, method.config.beta2))
        self.lr = resolved(method.config.lr)
        self.lr_decay = resolved(method.config.lr_decay)

    def step(self, number: int) -> dict[str, torch.Tensor]:
        lr = self.lr * (linear_tail(number, len(self.batches)) if self.lr_decay else 1.0)
        set_learning_rate(self.opt_g, lr / 2)
        set_learning_rate(self.opt_d, lr * 2)
        batch = self.batches[number]
        condition = self.condition(batch.mask, batch.intensities)

        self.discriminator.requires_grad_(False)
        with autocast(condition.device):
            generated, fake = self.draw(condition, batch.pixel_noise)
            features_fake, features_real = self._discriminate(condition, fake, batch.image)
            gan = _mean(hinge_generator(scale[-1]) for scale in features_fake)
            terms = self.terms(gan, features_fake, features_real, generated, batch.image)
        descend(self.opt_g, self.weighted(terms))

        self.discriminator.requires_grad_(True)
        with autocast(condition.device):
            with torch.no_grad():
                _, fake = self.draw(condition, batch.pixel_noise)
            features_fake, features_real = self._discriminate(condition, fake, batch.image)
            loss_d = _mean(hinge_discriminator(scale[-1], real=True) for scale in features_real)
            loss_d = loss_d + _mean(hinge_discriminator(scale[-1], real=False) for scale in features_fake)
        descend(self.opt_d, loss_d)
        return {**terms, "discriminator": loss_d}

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
