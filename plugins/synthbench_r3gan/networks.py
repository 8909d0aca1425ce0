"""Generator and discriminator of R3GAN: stages of residual blocks, one for each resolution from 4×4 on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers import upsampling
from synthbench_r3gan.layers import ResidualBlock, convolution, downsample2x, linear, upsample2x

__all__ = ["BASE_SIDE", "Discriminator", "GeneratorNetwork", "widths"]

BASE_SIDE = 4
"""Side of the lowest resolution."""


def widths(side: int, channel_max: int, channel_base: int) -> list[int]:
    """Return the channels at the resolutions 4, 8 … side: ``channel_base / resolution``, at most `channel_max`."""
    return [
        min(channel_max, max(8, channel_base // (BASE_SIDE * 2**k))) for k in range((side // BASE_SIDE).bit_length())
    ]


class GeneratorNetwork(nn.Module):
    """Maps z and a class to the planes of image and mask.

    A fully connected layer gives each channel of a learned 4×4 basis a factor. Where the width changes, a 1×1
    convolution precedes the upsampling.

    Parameters
    ----------
    channels
        By resolution; see `widths`.
    blocks
        Residual blocks at each resolution.
    z_dim
    planes
        Of image and mask.
    mask_planes
        Those of the mask, the last ones. With `softmax` they are classes, drawn as 2·softmax − 1 (an addition of this
        project); other planes are drawn as they are.
    classes
        Number of classes; 0 for none.
    factor
        How many times smaller than the image the last resolution is: 1 as published. Otherwise the planes are
        interpolated, and all upsampling repeats the pixels of the border (an addition of this project): with zeros
        beyond it, a short training draws images with a border of another grey than the background.
    softmax
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: int,
        z_dim: int,
        planes: int,
        mask_planes: int,
        *,
        classes: int = 0,
        factor: int = 1,
        softmax: bool = False,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.factor, self.softmax_planes = factor, mask_planes if softmax else 0
        self.tanh_planes = mask_planes if tanh and not softmax else 0
        self.embed = linear(classes, z_dim) if classes else None
        self.basis = nn.Parameter(torch.randn(channels[0], BASE_SIDE, BASE_SIDE))
        self.linear = linear(2 * z_dim if classes else z_dim, channels[0])
        before = [channels[0], *channels[:-1]]
        self.widen = nn.ModuleList(
            convolution(a, b, 1) if a != b else nn.Identity() for a, b in zip(before, channels, strict=True)
        )
        self.stages = nn.ModuleList(_stage(width, blocks, len(channels)) for width in channels)
        self.to_planes = convolution(channels[-1], planes, 1)

    def forward(self, z: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return planes, ``(B, planes, side, side)`` float32.

        Parameters
        ----------
        z
            ``(B, z_dim)``.
        classes
            ``(B,)`` int64; unused without classes.
        """
        if self.embed is not None:
            z = torch.cat([z, F.embedding(classes, self.embed.weight.T)], dim=1)
        upsample = upsample2x if self.factor == 1 else upsampling.upsample2x
        x = self.basis * self.linear(z)[:, :, None, None]
        for k, (widen, stage) in enumerate(zip(self.widen, self.stages, strict=True)):
            x = stage(upsample(widen(x)) if k else x)
        planes: torch.Tensor = self.to_planes(x).float()
        for _ in range(self.factor.bit_length() - 1):
            planes = upsampling.upsample2x(planes)
        if self.tanh_planes:
            image, mask = planes[:, : -self.tanh_planes], planes[:, -self.tanh_planes :]
            return torch.cat([image, torch.tanh(mask)], dim=1)
        if not self.softmax_planes:
            return planes
        image, mask = planes[:, : -self.softmax_planes], planes[:, -self.softmax_planes :]
        return torch.cat([image, 2 * F.softmax(mask, dim=1) - 1], dim=1)


class Discriminator(nn.Module):
    """Scores the planes of image and mask, for their class if there are classes (Miyato & Koyama 2018, 1802.05637).

    A 1×1 convolution, the stages from the highest resolution down, a 4×4 convolution of each channel by itself, and a
    fully connected layer. Where the width changes, a 1×1 convolution follows the downsampling.

    Parameters
    ----------
    channels, blocks, planes, classes, factor
        As for `GeneratorNetwork`; with a factor above 1, squares of pixels are averaged first.
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: int,
        planes: int,
        *,
        classes: int = 0,
        factor: int = 1,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.factor, self.unshuffle = factor, unshuffle
        down = list(reversed(channels))
        after = [*down[1:], down[-1]]
        self.from_planes = convolution(planes * unshuffle**2, down[0], 1)
        self.stages = nn.ModuleList(_stage(width, blocks, len(channels)) for width in down)
        self.change = nn.ModuleList(
            convolution(a, b, 1) if a != b else nn.Identity() for a, b in zip(down, after, strict=True)
        )
        self.basis = convolution(down[-1], down[-1], BASE_SIDE, groups=down[-1], padding=0)
        self.linear = linear(down[-1], channels[0] if classes else 1)
        self.embed = linear(classes, channels[0], gain=1 / math.sqrt(channels[0])) if classes else None

    def forward(self, planes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(B,)`` of planes ``(B, planes, side, side)``; higher is more real.

        Parameters
        ----------
        planes
        classes
            ``(B,)`` int64; unused without classes.
        """
        if self.factor > 1:
            planes = F.avg_pool2d(planes, self.factor)
        x = self.from_planes(F.pixel_unshuffle(planes, self.unshuffle))
        for k, (stage, change) in enumerate(zip(self.stages, self.change, strict=True), 1):
            x = stage(x)
            if k < len(self.stages):
                x = change(downsample2x(x))
        scores: torch.Tensor = self.linear(self.basis(x).flatten(1)).float()
        if self.embed is not None:
            return (scores * F.embedding(classes, self.embed.weight.T)).sum(dim=1)
        return scores[:, 0]


def _stage(channels: int, blocks: int, stages: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, blocks * stages) for _ in range(blocks)))
