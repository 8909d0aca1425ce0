"""An optimiser step: the discriminators', then the generator's, with values that change over the training."""

from __future__ import annotations

from typing import Any

import torch

from synthbench.toolkit.training import loop
from synthbench.toolkit.training.augmentation import ada_augment
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.schedules import cosine, set_learning_rate
from synthbench_r3gan.config import R3GanConfig
from synthbench_r3gan.losses import discriminator_loss, generator_loss, gradient_penalty
from synthbench_r3gan.networks import Discriminator, GeneratorNetwork

__all__ = ["R3GanTraining"]

_FIRST_BETA2, _LAST_BETA2 = 0.9, 0.99
_LAST_GAMMA, _LAST_RATE = 0.1, 0.25
"""Relative to the first ones."""
_OF_IMAGES = "image_"
"""Prefix of the losses of the discriminator of images without masks."""


class R3GanTraining:
    """Networks, optimisers and the average of a training, and its step.

    Parameters
    ----------
    config
        Resolved.
    network, discriminator
        On the device that trains.
    average
        A copy of `network`, whose weights become the moving average.
    image_discriminator
        Sees the image planes only, of patches with and without labels, and no classes. None if all patches are
        labelled.
    image_planes
        Planes of the image; the others are the mask's.
    steps, batch_size
        Of the training.
    random
        On the device; draws z and augmentations.
    """

    def __init__(
        self,
        config: R3GanConfig,
        network: GeneratorNetwork,
        discriminator: Discriminator,
        average: GeneratorNetwork,
        *,
        image_discriminator: Discriminator | None = None,
        image_planes: int,
        steps: int,
        batch_size: int,
        random: torch.Generator,
    ) -> None:
        self.config, self.network, self.discriminator, self.average = config, network, discriminator, average
        self.image_discriminator = image_discriminator
        self.image_planes, self.steps, self.batch_size, self.random = image_planes, steps, batch_size, random
        self.opt_g, self.opt_d = (_adam(net, config) for net in (network, discriminator))
        self.opt_image_d = _adam(image_discriminator, config) if image_discriminator is not None else None

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, by name."""
        names = ("network", "discriminator", "average", "opt_g", "opt_d", "random")
        state = {name: getattr(self, name) for name in names}
        if self.opt_image_d is not None:
            state.update(image_discriminator=self.image_discriminator, opt_image_d=self.opt_image_d)
        return state

    def scheduled(self, number: int) -> dict[str, float]:
        """Return the values of a step: gamma, learning_rate, beta2, aug_p, and half_life in patches."""
        config, left = self.config, cosine(number, self.steps)
        ends = {
            "gamma": (resolved(config.gamma), _LAST_GAMMA * resolved(config.gamma)),
            "learning_rate": (resolved(config.learning_rate), _LAST_RATE * resolved(config.learning_rate)),
            "beta2": (_FIRST_BETA2, _LAST_BETA2),
            "aug_p": (0.0, config.aug_p),
            "half_life": (0.0, config.ema_half_life * self.steps * self.batch_size),
        }
        return {name: last + left * (first - last) for name, (first, last) in ends.items()}

    def step(
        self, number: int, real: torch.Tensor, classes: torch.Tensor, labelled: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Take an optimiser step of all networks, and return the losses.

        Parameters
        ----------
        number
            Of the step.
        real
            Training patches, ``(B, planes, side, side)``.
        classes
            Their classes, ``(B,)`` int64; what is drawn beside them has the same.
        labelled
            ``(B,)`` bool: which patches have a mask. The others are seen by the discriminator of images only. None:
            all.
        """
        now = self.scheduled(number)
        for optimiser in (self.opt_g, self.opt_d, self.opt_image_d):
            if optimiser is not None:
                set_learning_rate(optimiser, now["learning_rate"])
                for group in optimiser.param_groups:
                    group["betas"] = (0.0, now["beta2"])
        losses = {
            **self._step_discriminators(real, classes, labelled, now["gamma"], now["aug_p"]),
            **self._step_generator(real, classes, labelled, now["aug_p"]),
        }
        self._update_average(now["half_life"])
        return losses

    def _step_discriminators(
        self, real: torch.Tensor, classes: torch.Tensor, labelled: torch.Tensor | None, gamma: float, p: float
    ) -> dict[str, torch.Tensor]:
        """Take the discriminators' steps; without bfloat16, because of the gradients' gradients."""
        with torch.no_grad():
            fake = self.draw(classes)
        losses = {}
        if labelled is None or labelled.any():
            joint = self._discriminator_losses(
                self.discriminator,
                _chosen(real, labelled),
                _chosen(fake, labelled),
                _chosen(classes, labelled),
                gamma,
                p,
            )
            _minimise(self.opt_d, joint)
            losses.update(joint)
        if self.image_discriminator is not None and self.opt_image_d is not None:
            images, drawn = real[:, : self.image_planes], fake[:, : self.image_planes]
            alone = self._discriminator_losses(self.image_discriminator, images, drawn, classes, gamma, p)
            _minimise(self.opt_image_d, alone)
            losses.update({_OF_IMAGES + name: loss for name, loss in alone.items()})
        return losses

    def _discriminator_losses(
        self,
        discriminator: Discriminator,
        real: torch.Tensor,
        fake: torch.Tensor,
        classes: torch.Tensor,
        gamma: float,
        p: float,
    ) -> dict[str, torch.Tensor]:
        real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        real_scores = discriminator(self.augment(real, p), classes)
        fake_scores = discriminator(self.augment(fake, p), classes)
        return {
            "d_loss": discriminator_loss(real_scores, fake_scores),
            "r1_penalty": gamma / 2 * gradient_penalty(real_scores, real),
            "r2_penalty": gamma / 2 * gradient_penalty(fake_scores, fake),
        }

    def _step_generator(
        self, real: torch.Tensor, classes: torch.Tensor, labelled: torch.Tensor | None, p: float
    ) -> dict[str, torch.Tensor]:
        fake = self.draw(classes)
        losses = {}
        if labelled is None or labelled.any():
            losses["g_loss"] = self._generator_loss(
                self.discriminator, _chosen(real, labelled), _chosen(fake, labelled), _chosen(classes, labelled), p
            )
        if self.image_discriminator is not None:
            images, drawn = real[:, : self.image_planes], fake[:, : self.image_planes]
            losses[f"{_OF_IMAGES}g_loss"] = self._generator_loss(self.image_discriminator, images, drawn, classes, p)
        _minimise(self.opt_g, losses)
        return losses

    def _generator_loss(
        self, discriminator: Discriminator, real: torch.Tensor, fake: torch.Tensor, classes: torch.Tensor, p: float
    ) -> torch.Tensor:
        discriminator.requires_grad_(False)
        with loop.autocast(real.device):
            real_scores = discriminator(self.augment(real, p), classes)
            fake_scores = discriminator(self.augment(fake, p), classes)
        discriminator.requires_grad_(True)
        return generator_loss(real_scores, fake_scores)

    def draw(self, classes: torch.Tensor) -> torch.Tensor:
        """Return planes drawn from new z, one for each class of ``(B,)`` int64."""
        shape = (len(classes), self.config.z_dim)
        z = torch.randn(shape, generator=self.random, device=classes.device)
        with loop.autocast(classes.device):
            planes: torch.Tensor = self.network(z, classes)
        return planes

    def augment(self, planes: torch.Tensor, p: float) -> torch.Tensor:
        """Return planes ``(B, planes, H, W)`` augmented with the probability `p`; gradients pass, also twice.

        Those of the image are the first ones; there may be no others.
        """
        return ada_augment(planes, self.image_planes, p, random=self.random)

    @torch.no_grad()
    def _update_average(self, half_life: float) -> None:
        """Move the average towards the weights: 0.5^(batch / half-life) of it stays; none at a half-life of 0."""
        stays = 0.5 ** (self.batch_size / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - stays)


def _adam(network: torch.nn.Module, config: R3GanConfig) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), resolved(config.learning_rate), betas=(0.0, _FIRST_BETA2), eps=1e-8)


def _chosen(rows: torch.Tensor, labelled: torch.Tensor | None) -> torch.Tensor:
    return rows if labelled is None else rows[labelled]


def _minimise(optimiser: torch.optim.Optimizer, losses: dict[str, torch.Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    optimiser.step()
