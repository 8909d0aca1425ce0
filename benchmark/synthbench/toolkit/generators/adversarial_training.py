"""What the trainings of mask-to-image generators against a discriminator have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.checkpoints import State

__all__ = ["AdversarialTraining", "descend"]


class AdversarialTraining:
    """Generator, discriminator and their optimisers; a method writes `step`.

    Parameters
    ----------
    generator, discriminator
        On the device of the batches.
    batches
    condition
        Maps mask and intensities to what both networks see; see `MaskToImageGenerator.condition`.
    random
        Draws noise, on the device of the batches.
    betas
        Of Adam, for both networks. Steps set the learning rates.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        batches: ConditionedBatches,
        condition: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        random: torch.Generator,
        betas: tuple[float, float],
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.batches, self.condition, self.random = batches, condition, random
        self.opt_g = torch.optim.Adam(generator.parameters(), betas=betas)
        self.opt_d = torch.optim.Adam(discriminator.parameters(), betas=betas)

    @property
    def state(self) -> Mapping[str, State]:
        """Everything that changes during training, by name; see `synthbench.toolkit.training.loop.train`."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "opt_g": self.opt_g,
            "opt_d": self.opt_d,
            "noise": self.random,
        }

    def noise(self, like: torch.Tensor, planes: int) -> torch.Tensor:
        """Return normal noise for images ``(B, C, H, W)``: ``(B, planes, H, W)``."""
        return torch.randn((len(like), planes, *like.shape[2:]), generator=self.random, device=like.device)


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take a step of an optimiser towards a smaller loss."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
