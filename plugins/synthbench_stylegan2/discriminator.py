"""The discriminator: StyleGAN2's residual one on image and mask together, with ReACGAN's embedding of the class."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from synthbench_stylegan2.layers import AFTER_RELU, Conv, Linear, relu
from synthbench_stylegan2.networks import FIRST, widths

GROUP = 4
"""Images whose spread is compared."""


class Verdict(NamedTuple):
    """What a discriminator says of a batch.

    Attributes
    ----------
    logit : torch.Tensor
        ``(B,)``; above 0 is real.
    embedding : torch.Tensor
        ``(B, E)`` of length 1; E is 0 without classes.
    """

    logit: torch.Tensor
    embedding: torch.Tensor


class Discriminator(nn.Module):
    """Judges image and mask, joined as planes.

    Parameters
    ----------
    side, channels, base
        As for `synthbench_stylegan2.networks.Synthesis`.
    fold
        As there; squares of so many pixels a side are channels.
    planes
        Of image and mask.
    classes
        0 for none.
    embedding
        Length of the vectors that are compared with those of the classes.
    """

    def __init__(
        self, side: int, fold: int, channels: int, base: int, planes: int, classes: int, embedding: int
    ) -> None:
        super().__init__()
        wide = widths(side // fold, channels, base)[::-1]
        self.fold = fold
        self.first = Conv(planes * fold**2, wide[0], 1, gain=AFTER_RELU)
        self.blocks = nn.ModuleList(Residual(a, b) for a, b in pairwise(wide))
        self.last = Conv(wide[-1] + 1, wide[-1], 3, gain=AFTER_RELU)
        self.flat = Linear(wide[-1] * FIRST**2, wide[-1], gain=AFTER_RELU)
        self.out = Linear(wide[-1], 1)
        self.embed = Linear(wide[-1], embedding) if classes else None
        self.proxies = nn.Parameter(torch.randn(classes, embedding))

    def forward(self, planes: torch.Tensor) -> Verdict:
        """Judge ``(B, planes, side, side)``."""
        x = relu(self.first(F.pixel_unshuffle(planes, self.fold)))
        for block in self.blocks:
            x = block(x)
        x = relu(self.last(with_spread(x)))
        x = relu(self.flat(x.flatten(1)))
        embedding = x[:, :0] if self.embed is None else F.normalize(self.embed(x).float(), dim=1)
        return Verdict(self.out(x)[:, 0].float(), embedding)

    def of_classes(self) -> torch.Tensor:
        """Return the vectors of the classes, ``(classes, E)`` of length 1."""
        return F.normalize(self.proxies, dim=1)


class Residual(nn.Module):
    """Two convolutions and half the resolution, halved between the two; beside them a short cut.

    Halved by means of 2 × 2, where StyleGAN2 has a filter of four taps and halves in the second convolution: cheaper,
    and this project's choice.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Conv(inputs, inputs, 3, gain=AFTER_RELU)
        self.second = Conv(inputs, outputs, 3, gain=AFTER_RELU)
        self.short = Conv(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H / 2, W / 2)``."""
        deep = relu(self.second(F.avg_pool2d(relu(self.first(x)), 2)))
        return (deep + self.short(F.avg_pool2d(x, 2))) * 0.5**0.5


def with_spread(x: torch.Tensor) -> torch.Tensor:
    """Add a plane with the mean deviation among `GROUP` images of the batch: ``(B, C, H, W)`` to ``(B, C + 1, H, W)``.

    A generator that draws one and the same image gives itself away by it (arXiv 1710.10196). In a batch that can't be
    divided into such groups, the group is all of it.
    """
    size = GROUP if len(x) % GROUP == 0 else len(x)
    groups = x.float().unflatten(0, (size, -1))
    spread = (groups.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3)).repeat(size)
    return torch.cat([x, spread[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)], dim=1)
