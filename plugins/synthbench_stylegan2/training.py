"""One step of the training: the discriminator's, then the drawing network's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from synthbench.toolkit.training import loop
from synthbench.toolkit.training.augmentation import ada_augment, diff_augment
from synthbench.toolkit.training.schedules import averaged_model
from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.control import Adaptive
from synthbench_stylegan2.discriminator import Discriminator, Verdict
from synthbench_stylegan2.losses import PathLength, d2d_ce, of_discriminator, of_generator, r1
from synthbench_stylegan2.networks import Drawer

BETAS = (0.0, 0.99)
_STEP = 81


class Training:
    """Everything that changes during training, and what a step does.

    Parameters
    ----------
    config
    network, judge
        The drawing network and the discriminator, on the device that trains.
    channels
        Planes of the image; those after them are the mask's.
    shares
        Of the classes; one of 1 where there are none.
    batch
        Patches in a step.
    seed
    random
        On the device; draws z, noise, classes and augmentations.
    """

    def __init__(
        self,
        config: StyleGan2MaskConfig,
        network: Drawer,
        judge: Discriminator,
        *,
        channels: int,
        shares: Sequence[float],
        batch: int,
        seed: int,
        random: torch.Generator,
    ) -> None:
        self.config, self.network, self.judge = config, network, judge
        self.channels, self.seed, self.random = channels, seed, random
        self.device = random.device
        self.shares = torch.tensor(shares, device=self.device)
        self.average = averaged_model(network, config.decay)
        self.draws, self.judges = (
            torch.optim.Adam(net.parameters(), config.learning_rate, betas=BETAS) for net in (network, judge)
        )
        self.adaptive = Adaptive(config.sure, batch / config.rise)
        self.lengths = PathLength(self.device)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        names = ("network", "judge", "average", "draws", "judges", "adaptive", "lengths", "random")
        return {name: getattr(self, name) for name in names}

    def step(self, number: int, real: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take one step of both networks, and return the losses.

        Parameters
        ----------
        number
            Of the step.
        real
            Training patches, ``(B, planes, side, side)``.
        classes
            ``(B,)`` int64.
        """
        rng = np.random.default_rng((self.seed, _STEP, number))
        losses = {
            **self._discriminate(number, real, classes, rng),
            **self._draw(number, len(real), rng),
        }
        self.average.update_parameters(self.network)
        return losses

    def _discriminate(
        self, number: int, real: torch.Tensor, classes: torch.Tensor, rng: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        config, p = self.config, self.adaptive.p
        pseudo = min(len(real) - 1, int(rng.binomial(len(real), p))) if config.apa else 0
        with torch.no_grad():
            told = self._classes(len(real) + pseudo)
            styles = self._styles(told, rng)
            with loop.autocast(self.device):
                drawn = self.network.synthesis(styles, self.random)
        if pseudo:  # APA: drawn samples are shown as real ones
            real = torch.cat([drawn[len(real) :], real[pseudo:]])
            classes = torch.cat([told[len(classes) :], classes[pseudo:]])
        seen = self._augmented(real)
        penal = config.r1 > 0 and number % config.r1_every == 0
        of_real = self.judge(seen.requires_grad_()) if penal else self._judged(seen)  # no bfloat16
        of_fake = self._judged(self._augmented(drawn[: len(real)]))
        losses = {
            "judge": of_discriminator(of_real.logit, of_fake.logit),
            **self._told_apart("judged", of_real, classes),
        }
        if penal:
            losses["r1"] = config.r1 * config.r1_every * r1(of_real.logit, seen)
        _take(self.judges, losses)
        if config.ada or config.apa:
            self.adaptive.update(of_real.logit[pseudo:])
        return losses

    def _draw(self, number: int, count: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        config, told = self.config, self._classes(count)
        self.judge.requires_grad_(False)
        styles = self._styles(told, rng)
        with loop.autocast(self.device):
            drawn = self.network.synthesis(styles, self.random)
        verdict = self._judged(self._augmented(drawn))
        losses = {"draw": of_generator(verdict.logit), **self._told_apart("drawn", verdict, told)}
        if config.path and number % config.path_every == 0:  # half a batch, as in StyleGAN2; no bfloat16
            styles = self._styles(told[: max(1, count // 2)], rng)
            planes = self.network.synthesis(styles, self.random)
            losses["path"] = config.path * config.path_every * self.lengths.penalty(planes, styles, self.random)
        _take(self.draws, losses)
        self.judge.requires_grad_(True)
        return losses

    def _styles(self, classes: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Draw styles for classes, in a share of the steps mixed of two."""
        shape = (2, len(classes), self.config.latent)
        first, second = torch.randn(shape, generator=self.random, device=self.device)
        if rng.random() >= self.config.mixing:
            return self.network.styles(first, classes)
        crossing = int(rng.integers(1, self.network.synthesis.styles))
        return self.network.styles(first, classes, second, crossing)

    def _classes(self, count: int) -> torch.Tensor:
        """Draw classes by their shares, ``(count,)`` int64."""
        return torch.multinomial(self.shares, count, replacement=True, generator=self.random)

    def _augmented(self, planes: torch.Tensor) -> torch.Tensor:
        if self.config.diff_augment:
            planes = diff_augment(planes, self.channels, random=self.random)
        if self.config.ada:
            planes = ada_augment(planes, self.channels, self.adaptive.p, random=self.random)
        return planes

    def _judged(self, planes: torch.Tensor) -> Verdict:
        with loop.autocast(self.device):
            verdict: Verdict = self.judge(planes)
        return verdict

    def _told_apart(self, name: str, verdict: Verdict, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weighted D2D-CE by its name; nothing without classes."""
        if len(self.shares) == 1:
            return {}
        config, proxies = self.config, self.judge.of_classes()
        return {name: config.d2d * d2d_ce(verdict.embedding, proxies, classes, config.margin, config.temperature)}


def _take(optimiser: torch.optim.Optimizer, losses: dict[str, torch.Tensor]) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    optimiser.step()
