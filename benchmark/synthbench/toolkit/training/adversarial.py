"""Losses of adversarial trainings: LSGAN, hinge and feature matching; and a pool of earlier images.

All functions compute in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

__all__ = ["ImagePool", "feature_matching", "hinge_discriminator", "hinge_generator", "lsgan"]


def lsgan(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Return the mean squared distance of logits from 1 for real, or 0 for fake: LSGAN (Mao et al. 2017)."""
    logits = logits.float()
    return functional.mse_loss(logits, torch.full_like(logits, float(real)))


def hinge_discriminator(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Return the hinge loss of a discriminator: how far logits are below 1 for real, or above −1 for fake, on average.

    See Lim & Ye 2017 (arXiv 1705.02894).
    """
    logits = logits.float()
    return functional.relu(1 - logits if real else 1 + logits).mean()


def hinge_generator(logits: torch.Tensor) -> torch.Tensor:
    """Return the generator's loss that belongs to `hinge_discriminator`: the negative mean of the logits."""
    return -logits.float().mean()


def feature_matching(
    fake: Sequence[Sequence[torch.Tensor]], real: Sequence[Sequence[torch.Tensor]], layer_weight: float = 1.0
) -> torch.Tensor:
    """Return how much a discriminator's features of drawn images differ from those of the real ones.

    The mean absolute difference of each layer, summed over the layers, and averaged over the resolutions (Wang et al.
    2018, arXiv 1711.11585, equation 4). Real features are constants.

    Parameters
    ----------
    fake, real
        By resolution and layer; the last entry of each resolution, the logits, doesn't count. See
        `synthbench.toolkit.layers.discriminators.MultiscaleDiscriminator`.
    layer_weight
        Weight of each layer.
    """
    terms = [
        functional.l1_loss(own.float(), other.detach().float())
        for fake_features, real_features in zip(fake, real, strict=True)
        for own, other in zip(fake_features[:-1], real_features[:-1], strict=True)
    ]
    return layer_weight * torch.stack(terms).sum() / len(fake)


class ImagePool:
    """Earlier drawn images, so that a discriminator doesn't only see the latest ones (Shrivastava et al. 2017).

    It is filled first. Then, with probability 1/2, an image is exchanged with a random one of the pool, and otherwise
    passed on.

    Parameters
    ----------
    size
        Number of images; with 0, all are passed on.
    random
        On the CPU; put it into the training's state, as the pool itself.
    """

    def __init__(self, size: int, random: torch.Generator) -> None:
        self.size = size
        self.random = random
        self.images: list[torch.Tensor] = []

    def exchange(self, images: torch.Tensor) -> torch.Tensor:
        """Return as many images, ``(B, C, H, W)`` without a gradient, in part earlier ones."""
        returned = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
            elif self.size and float(torch.rand((), generator=self.random)) < 0.5:
                place = int(torch.randint(self.size, (), generator=self.random))
                returned.append(self.images[place])
                self.images[place] = image.clone()
                continue
            returned.append(image)
        return torch.stack(returned)

    def state_dict(self) -> dict[str, Any]:
        """Return the images for a checkpoint."""
        return {"images": list(self.images)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the images of a checkpoint."""
        self.images = list(state_dict["images"])
