"""The training step of pix2pixHD: both networks step at once, from the losses before the step."""

from __future__ import annotations

import torch

from synthbench.toolkit.generators.adversarial_training import descend
from synthbench.toolkit.generators.feature_matching import FeatureMatchingGenerator, FeatureMatchingTraining, Features
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.adversarial import lsgan
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_pix2pixhd.config import Pix2PixHDConfig

__all__ = ["Pix2PixHDTraining", "adversarial"]


class Pix2PixHDTraining(FeatureMatchingTraining):
    """The networks with a perceptual loss, and one training step; see `FeatureMatchingTraining`."""

    def __init__(
        self,
        method: FeatureMatchingGenerator[Pix2PixHDConfig],
        batches: ConditionedBatches,
        random: torch.Generator,
    ) -> None:
        super().__init__(method, batches, random, (method.config.beta1, 0.999))
        self.lr = resolved(method.config.lr)
        self.weights["features"] *= 4 / (method.config.n_layers_d + 1)  # what each layer counts in the published code

    def step(self, number: int) -> dict[str, torch.Tensor]:
        for optimiser in (self.opt_g, self.opt_d):
            set_learning_rate(optimiser, self.lr * linear_tail(number, len(self.batches)))
        batch = self.batches[number]
        real, condition = batch.image, self.condition(batch.mask, batch.intensities)
        with autocast(real.device):
            generated, fake = self.draw(condition, batch.pixel_noise)
            features_real = self.discriminator(torch.cat([condition, real], dim=1))
            self.discriminator.requires_grad_(False)
            features = self.discriminator(torch.cat([condition, fake], dim=1))
            terms = self.terms(adversarial(features, real=True), features, features_real, generated, real)
        descend(self.opt_g, self.weighted(terms))

        self.discriminator.requires_grad_(True)
        with autocast(real.device):
            features_fake = self.discriminator(torch.cat([condition, fake.detach()], dim=1))
            loss_d = (adversarial(features_real, real=True) + adversarial(features_fake, real=False)) / 2
        descend(self.opt_d, loss_d)
        return {**terms, "discriminator": loss_d}


def adversarial(features: Features, *, real: bool) -> torch.Tensor:
    """Return the LSGAN loss of the discriminators' logits, summed over the resolutions (equation 3)."""
    return torch.stack([lsgan(of_scale[-1], real=real) for of_scale in features]).sum()
