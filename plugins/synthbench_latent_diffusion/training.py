"""The training steps of the autoencoder and of the diffusion of its latents, which are trained one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from synthbench.toolkit.generators.diffusion_processes import GaussianDiffusion
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench_latent_diffusion.config import LatentDiffusionConfig
from synthbench_latent_diffusion.networks import (
    ControlledDenoiser,
    LatentAutoencoder,
    SpadeDenoiser,
    build_discriminator,
)

__all__ = ["AutoencoderTraining", "LatentTraining", "kl_divergence"]

_ADVERSARIAL_FROM = 0.5
"""Fraction of the autoencoder's steps after which the discriminator begins."""
_MAX_ADAPTIVE_WEIGHT = 1e4


class AutoencoderTraining:
    """Reconstruction of images, with a small Kullback-Leibler term, and later against a patch discriminator.

    Parameters
    ----------
    config
        Resolved.
    autoencoder
    images
        Step → images ``(B, image_planes, H, W)``, −1 … 1.
    steps
        Number of steps of this training.
    random
        On the device; draws the latents.
    """

    def __init__(
        self,
        config: LatentDiffusionConfig,
        autoencoder: LatentAutoencoder,
        images: Callable[[int], torch.Tensor],
        *,
        steps: int,
        random: torch.Generator,
    ) -> None:
        self.config, self.autoencoder, self.images, self.random = config, autoencoder, images, random
        self.first_adversarial = round(_ADVERSARIAL_FROM * steps)
        self.adversarial_weight = resolved(config.adversarial_weight)
        rate, betas = resolved(config.autoencoder_learning_rate), (0.5, 0.9)
        self.optimiser = torch.optim.Adam(autoencoder.parameters(), rate, betas=betas)
        self.schedule = _schedule(self.optimiser, config, steps)
        self.discriminator: nn.Module | None = None
        if self.adversarial_weight > 0:
            last = [layer for layer in autoencoder.autoencoder.decoder.modules() if isinstance(layer, nn.Conv2d)][-1]
            self.last_weight = last.weight
            self.discriminator = build_discriminator(last.out_channels).to(last.weight.device)
            self.opt_d = torch.optim.Adam(self.discriminator.parameters(), rate, betas=betas)

    @property
    def state(self) -> Mapping[str, State]:
        state: dict[str, State] = {
            "autoencoder": self.autoencoder,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "random": self.random,
        }
        if self.discriminator is not None:
            state |= {"discriminator": self.discriminator, "opt_d": self.opt_d}
        return state

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""
        image = self.images(number)
        with loop.autocast(image.device):
            mean, std = self.autoencoder.posterior(image)
            noise = torch.randn(mean.shape, generator=self.random, device=image.device)
            decoded = self.autoencoder.autoencoder.decode(mean + std * noise)
        decoded = decoded.float()
        reconstruction = F.l1_loss(decoded, image)
        kl = kl_divergence(mean.float(), std.float()) / image[0].numel()
        losses = {"reconstruction": reconstruction, "kl": self.config.kl_weight * kl}
        if self.discriminator is not None and number >= self.first_adversarial:
            losses["adversarial"] = self.adversarial_loss(reconstruction, decoded)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.autoencoder.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        if self.discriminator is not None and number >= self.first_adversarial:
            losses["discriminator"] = self.train_discriminator(image, decoded.detach())
        return losses

    def adversarial_loss(self, reconstruction: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss of fooling the discriminator.

        The weight makes its gradient at the last layer as large as that of the reconstruction error, times
        `adversarial_weight` (Esser et al. 2021, arXiv 2012.09841, eq. 7).
        """
        assert self.discriminator is not None
        fooled = -_logits(self.discriminator, decoded).mean()
        of_error, of_fooling = (
            torch.autograd.grad(loss, self.last_weight, retain_graph=True)[0].norm()
            for loss in (reconstruction, fooled)
        )
        weight = (of_error / (of_fooling + 1e-4)).clamp(max=_MAX_ADAPTIVE_WEIGHT).detach()
        weighted: torch.Tensor = self.adversarial_weight * weight * fooled
        return weighted

    def train_discriminator(self, real: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Take a step of the discriminator, and return its hinge loss."""
        assert self.discriminator is not None
        of_real, of_decoded = (_logits(self.discriminator, images) for images in (real, decoded))
        loss = (F.relu(1 - of_real).mean() + F.relu(1 + of_decoded).mean()) / 2
        self.opt_d.zero_grad(set_to_none=True)
        loss.backward()
        self.opt_d.step()
        return loss.detach()


class LatentTraining:
    """Prediction of what the process asks for, of noisy latents at random times.

    Parameters
    ----------
    config
        Resolved.
    denoiser
    process
    examples
        Step → scaled latents ``(B, latent_channels, H / f, W / f)``, and conditions ``(B, K, H, W)``.
    steps
        Number of steps of this training.
    random
        On the device; draws times and noise, and what `examples` draws.
    """

    def __init__(
        self,
        config: LatentDiffusionConfig,
        denoiser: SpadeDenoiser | ControlledDenoiser,
        process: GaussianDiffusion,
        examples: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
        *,
        steps: int,
        random: torch.Generator,
    ) -> None:
        self.denoiser, self.process, self.examples, self.random = denoiser, process, examples, random
        self.absolute = config.loss_type == "l1"
        self.average = averaged_model(denoiser, resolved(config.ema_decay))
        self.optimiser = torch.optim.AdamW(denoiser.parameters(), resolved(config.learning_rate))
        self.schedule = _schedule(self.optimiser, config, steps)

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "denoiser": self.denoiser,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "random": self.random,
        }

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""
        latents, condition = self.examples(number)
        t = self.process.draw_times(len(latents), self.random)
        noise = torch.randn(latents.shape, generator=self.random, device=latents.device)
        with loop.autocast(latents.device):
            prediction = self.denoiser(self.process.q_sample(latents, noise, t), t, condition)
        errors = prediction.float() - self.process.target(latents, noise, t)
        errors = errors.abs() if self.absolute else errors**2
        losses = {"latents": (self.process.loss_weights(t) * errors).mean()}
        self.optimiser.zero_grad(set_to_none=True)
        losses["latents"].backward()
        torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.denoiser)
        return losses


def kl_divergence(mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of latents from a standard normal distribution.

    Parameters
    ----------
    mean, std
        ``(B, C, H, W)``.

    Returns
    -------
    torch.Tensor
        The sum over an image's latents, its mean over images; in nats.
    """
    terms = 0.5 * (mean**2 + std**2 - 1) - std.log()
    return terms.flatten(1).sum(dim=1).mean()


def _logits(discriminator: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with loop.autocast(images.device):
        logits: torch.Tensor = discriminator(images)[-1]
    return logits.float()


def _schedule(optimiser: torch.optim.Optimizer, config: LatentDiffusionConfig, steps: int) -> LambdaLR:
    constant = config.lr_schedule == "constant"
    return LambdaLR(optimiser, lambda number: 1.0 if constant else one_cycle(number, steps))
