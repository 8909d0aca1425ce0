"""What the networks of both architectures share: the interface of the StyleUNets, style mixing, padding."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MAPPING_LAYERS", "STYLE_DIM", "StyledNetwork", "mixed_noise", "pad_to_multiple"]

STYLE_DIM = 128
"""Length of a style, and of the noise that it is made from: `style_latent_dim` of the published code."""

MAPPING_LAYERS = 3
"""Layers from noise to style: `style_depth` of the published code."""


class StyledNetwork(nn.Module, ABC):
    """Mask to image, at any size: padded to the next multiple of 2^depth, and cropped.

    Attributes
    ----------
    multiple : int
        What the sides are padded to a multiple of.
    styles : int
        Number of styles that the network takes per image.
    """

    multiple: int
    styles: int

    @abstractmethod
    def draw(self, condition: torch.Tensor, noise: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return the images of padded conditions; see `forward`."""

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters with a smaller learning rate; none, unless overridden."""
        return []

    def forward(self, condition: torch.Tensor, noise: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return images ``(B, channels, H, W)`` of about −1 … 1, without a final activation.

        Parameters
        ----------
        condition
            ``(B, inputs, H, W)``; the planes of the mask −1 … 1.
        noise
            ``(B, styles, STYLE_DIM)``, one vector for each style.
        random
            Draws the noise that is added to the features.
        """
        height, width = condition.shape[-2:]
        return self.draw(pad_to_multiple(condition, self.multiple), noise, random)[..., :height, :width]


def mixed_noise(count: int, styles: int, mixed_prob: float, random: torch.Generator) -> torch.Tensor:
    """Return the noise of styles with style mixing (Karras et al. 2019, section 3.1).

    Parameters
    ----------
    count
        Images.
    styles
        Styles that the network takes per image.
    mixed_prob
        Probability that an image's styles from a random one on are made from other noise than those before.
    random

    Returns
    -------
    torch.Tensor
        ``(count, styles, STYLE_DIM)`` on the device of `random`.
    """
    device = random.device
    noise = torch.randn((2, count, 1, STYLE_DIM), generator=random, device=device)
    cut = torch.randint(1, styles, (count, 1), generator=random, device=device)
    mixed = torch.rand((count, 1), generator=random, device=device) < mixed_prob
    second = mixed & (torch.arange(styles, device=device) >= cut)
    return torch.where(second[:, :, None], noise[1], noise[0])


def pad_to_multiple(planes: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last rows and columns up to the next multiple of both sides."""
    below, right = (-side % multiple for side in planes.shape[-2:])
    return functional.pad(planes, (0, right, 0, below), mode="replicate") if below or right else planes
