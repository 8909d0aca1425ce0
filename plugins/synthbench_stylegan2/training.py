"""An optimiser step: the discriminator's, then the generator's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.augmentation import ada_augment, diff_augment
from synthbench.toolkit.training.schedules import averaged_model
from synthbench_stylegan2.adaptive import AdaptiveProbability
from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.discriminator import Discriminator, Logits
from synthbench_stylegan2.losses import PathLengthPenalty, d2d_ce, discriminator_loss, generator_loss, r1_penalty
from synthbench_stylegan2.networks import GeneratorNetwork

__all__ = ["StyleGan2Training"]

_BETAS = (0.0, 0.99)


class StyleGan2Training:
    """Networks, optimisers and averages of a training, and its step.

    Parameters
    ----------
    config
        Resolved.
    network, discriminator
        On the device that trains.
    image_planes
        Planes of the image; the others are the mask's.
    class_fractions
        Fraction of the training samples that each class has; ``[1.0]`` without classes.
    batch_size
    seed
    random
        On the device; draws z, noise, classes and augmentations.
    """

    def __init__(
        self,
        config: StyleGan2MaskConfig,
        network: GeneratorNetwork,
        discriminator: Discriminator,
        *,
        image_planes: int,
        class_fractions: Sequence[float],
        batch_size: int,
        seed: int,
        random: torch.Generator,
    ) -> None:
        self.config, self.network, self.discriminator = config, network, discriminator
        self.image_planes, self.seed, self.random = image_planes, seed, random
        self.device = random.device
        self.class_fractions = torch.tensor(class_fractions, device=self.device)
        self.average = averaged_model(network, config.ema_decay)
        self.opt_g, self.opt_d = (
            torch.optim.Adam(net.parameters(), config.learning_rate, betas=_BETAS) for net in (network, discriminator)
        )
        self.augmentation = AdaptiveProbability(config.ada_target, batch_size / (1000 * config.ada_kimg))
        self.path_length = PathLengthPenalty(self.device, config.pl_decay)

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, by name."""
        names = ("network", "discriminator", "average", "opt_g", "opt_d", "augmentation", "path_length", "random")
        return {name: getattr(self, name) for name in names}

    def step(self, number: int, real: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take an optimiser step of both networks, and return the losses.

        Parameters
        ----------
        number
            Of the step.
        real
            Training patches, ``(B, planes, side, side)``.
        classes
            ``(B,)`` int64.
        """
        rng = stream(self.seed, "stylegan2-mask.step", number)
        losses = {
            **self._step_discriminator(number, real, classes, rng),
            **self._step_generator(number, len(real), rng),
        }
        self.average.update_parameters(self.network)
        return losses

    def _step_discriminator(
        self, number: int, real: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        config, p = self.config, self.augmentation.p
        pseudo = min(len(real) - 1, int(rng.binomial(len(real), p))) if config.apa else 0
        with torch.no_grad():
            fake_classes = self.sample_classes(len(real) + pseudo)
            ws = self._sample_styles(fake_classes, rng)
            with loop.autocast(self.device):
                fake = self.network.synthesis(ws, self.random)
        if pseudo:  # APA: generated images are presented as real
            real = torch.cat([fake[len(real) :], real[pseudo:]])
            classes = torch.cat([fake_classes[len(classes) :], classes[pseudo:]])
        penalise = config.r1_gamma > 0 and number % config.d_reg_interval == 0
        if penalise and config.r1_images == "original":
            real = penalised = real.detach().requires_grad_()
            real = self.augment(real)
        else:
            real = self.augment(real)
            if penalise:
                real = penalised = real.detach().requires_grad_()
        real_logits = self.discriminator(real) if penalise else self._discriminate(real)  # R1 without bfloat16
        fake_logits = self._discriminate(self.augment(fake[: len(real)]))
        losses = {
            "d_loss": discriminator_loss(real_logits.logit, fake_logits.logit),
            **self.class_loss("d_class", real_logits, classes),
        }
        if penalise:
            penalty = r1_penalty(real_logits.logit, penalised)
            losses["r1_penalty"] = config.r1_gamma * config.d_reg_interval * penalty
        _minimise(self.opt_d, losses)
        if config.ada or config.apa:
            self.augmentation.update(real_logits.logit[pseudo:])
        return losses

    def _step_generator(self, number: int, count: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        config, classes = self.config, self.sample_classes(count)
        self.discriminator.requires_grad_(False)
        ws = self._sample_styles(classes, rng)
        with loop.autocast(self.device):
            fake = self.network.synthesis(ws, self.random)
        logits = self._discriminate(self.augment(fake))
        losses = {"g_loss": generator_loss(logits.logit), **self.class_loss("g_class", logits, classes)}
        if config.pl_weight and number % config.g_reg_interval == 0:  # without bfloat16
            ws = self._sample_styles(classes[: max(1, count // config.pl_batch_shrink)], rng)
            fake = self.network.synthesis(ws, self.random)
            penalty = self.path_length(fake, ws, self.random)
            losses["pl_penalty"] = config.pl_weight * config.g_reg_interval * penalty
        _minimise(self.opt_g, losses)
        self.discriminator.requires_grad_(True)
        return losses

    def _sample_styles(self, classes: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Draw z and return styles, mixed from two z with the probability `style_mixing_prob`."""
        shape = (2, len(classes), self.config.z_dim)
        first, second = torch.randn(shape, generator=self.random, device=self.device)
        if rng.random() >= self.config.style_mixing_prob:
            return self.network.styles(first, classes)
        cutoff = int(rng.integers(1, self.network.synthesis.num_ws))
        return self.network.styles(first, classes, second, cutoff)

    def sample_classes(self, count: int) -> torch.Tensor:
        """Draw classes by their fractions in the training set, ``(count,)`` int64."""
        return torch.multinomial(self.class_fractions, count, replacement=True, generator=self.random)

    def augment(self, planes: torch.Tensor) -> torch.Tensor:
        """Return augmented planes, ``(B, planes, H, W)``; the gradient passes."""
        if self.config.diff_augment:
            planes = diff_augment(planes, self.image_planes, random=self.random)
        if self.config.ada:
            planes = ada_augment(planes, self.image_planes, self.augmentation.p, random=self.random)
        return planes

    def _discriminate(self, planes: torch.Tensor) -> Logits:
        with loop.autocast(self.device):
            logits: Logits = self.discriminator(planes)
        return logits

    def class_loss(self, name: str, logits: Logits, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weighted D2D-CE by its name; nothing without classes."""
        if len(self.class_fractions) == 1:
            return {}
        config, proxies = self.config, self.discriminator.proxies()
        return {name: config.cond_lambda * d2d_ce(logits.embedding, proxies, classes, config.m_p, config.temperature)}


def _minimise(optimiser: torch.optim.Optimizer, losses: dict[str, torch.Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    optimiser.step()
