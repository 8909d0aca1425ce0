"""The training step of pix2pixHD: both networks step at once, from the losses before the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from synthbench.toolkit.generators.adversarial_training import AdversarialTraining
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.training.adversarial import feature_matching, lsgan
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_pix2pixhd.config import Pix2PixHDConfig

__all__ = ["Pix2PixHDTraining", "adversarial"]


class Pix2PixHDTraining(AdversarialTraining):
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
        config: Pix2PixHDConfig,
        batches: ConditionedBatches,
        condition: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        random: torch.Generator,
    ) -> None:
        super().__init__(generator, discriminator, batches, condition, random, (config.beta1, 0.999))
        self.perceptual = perceptual
        self.config = config
        self.lr = resolved(config.lr)

    def step(self, number: int) -> dict[str, torch.Tensor]:
        for optimiser in (self.opt_g, self.opt_d):
            set_learning_rate(optimiser, self.lr * linear_tail(number, len(self.batches)))
        batch = self.batches[number]
        real, condition = batch.image, self.condition(batch.mask, batch.intensities)
        z = self.noise(real, resolved(self.config.noise_planes))
        pixel_noise = batch.pixel_noise * self.noise(real, real.shape[1])
        with autocast(real.device):
            generated = self.generator(torch.cat([condition, z], dim=1)).float()
            fake = (generated + pixel_noise).clamp(-1, 1)
            features_real = self.discriminator(torch.cat([condition, real], dim=1))
            self.discriminator.requires_grad_(False)
            features = self.discriminator(torch.cat([condition, fake], dim=1))
            terms = {"gan": adversarial(features, real=True), "features": feature_matching(features, features_real)}
            if self.perceptual is not None:
                terms["perceptual"] = self.perceptual(generated, self.perceptual.features_of(real))
        self.opt_g.zero_grad()
        self._weighted(terms).backward()
        self.opt_g.step()

        self.discriminator.requires_grad_(True)
        with autocast(real.device):
            features_fake = self.discriminator(torch.cat([condition, fake.detach()], dim=1))
            loss_d = (adversarial(features_real, real=True) + adversarial(features_fake, real=False)) / 2
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        return {**terms, "discriminator": loss_d}

    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the generator's loss. Each layer's feature matching counts 4 / (`n_layers_d` + 1), as in the code."""
        layer_weight = 4 / (self.config.n_layers_d + 1)
        weights = {"features": layer_weight * self.config.lambda_feat, "perceptual": self.config.lambda_vgg}
        return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def adversarial(features: list[list[torch.Tensor]], *, real: bool) -> torch.Tensor:
    """Return the LSGAN loss of the discriminators' logits, summed over the resolutions (equation 3)."""
    return torch.stack([lsgan(of_scale[-1], real=real) for of_scale in features]).sum()
