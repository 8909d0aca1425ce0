"""The discriminator: StyleGAN2's residual one on image and mask together, with ReACGAN's class embedding."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from synthbench_stylegan2.layers import LRELU_GAIN, EqualisedConv, EqualisedLinear, lrelu
from synthbench_stylegan2.networks import BASE_SIDE, channels_by_resolution

__all__ = ["Discriminator", "Logits", "minibatch_stddev"]

_MBSTD_GROUP_SIZE = 4


class Logits(NamedTuple):
    """What a discriminator returns for a batch.

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
    """Classifies the planes of image and mask as real or generated.

    Parameters
    ----------
    side, factor, channel_max, channel_base, filtered
        As for `synthbench_stylegan2.networks.SynthesisNetwork`; squares of `factor`² pixels become channels.
    planes
        Of image and mask.
    classes
        Number of classes; 0 for none.
    embed_dim
        Length of the embeddings that D2D-CE compares.
    """

    def __init__(
        self,
        side: int,
        factor: int,
        channel_max: int,
        channel_base: int,
        planes: int,
        classes: int,
        embed_dim: int,
        *,
        filtered: bool = False,
    ) -> None:
        super().__init__()
        channels = channels_by_resolution(side // factor, channel_max, channel_base)[::-1]
        self.factor = factor
        self.from_planes = EqualisedConv(planes * factor**2, channels[0], 1, gain=LRELU_GAIN)
        self.blocks = nn.ModuleList(DiscriminatorBlock(a, b, filtered=filtered) for a, b in pairwise(channels))
        self.last = EqualisedConv(channels[-1] + 1, channels[-1], 3, gain=LRELU_GAIN)
        self.dense = EqualisedLinear(channels[-1] * BASE_SIDE**2, channels[-1], gain=LRELU_GAIN)
        self.out = EqualisedLinear(channels[-1], 1)
        self.embed = EqualisedLinear(channels[-1], embed_dim) if classes else None
        self.class_proxies = nn.Parameter(torch.randn(classes, embed_dim))

    def forward(self, planes: torch.Tensor) -> Logits:
        """Classify ``(B, planes, side, side)``."""
        x = lrelu(self.from_planes(F.pixel_unshuffle(planes, self.factor)))
        for block in self.blocks:
            x = block(x)
        x = lrelu(self.last(minibatch_stddev(x)))
        x = lrelu(self.dense(x.flatten(1)))
        embedding = x[:, :0] if self.embed is None else F.normalize(self.embed(x).float(), dim=1)
        return Logits(self.out(x)[:, 0].float(), embedding)

    def proxies(self) -> torch.Tensor:
        """Return the proxies of the classes, ``(classes, E)`` of length 1."""
        return F.normalize(self.class_proxies, dim=1)


class DiscriminatorBlock(nn.Module):
    """Two convolutions that halve the resolution, and a residual connection.

    Parameters
    ----------
    inputs, outputs
    filtered
        As in StyleGAN2: the filter (1, 3, 3, 1) and a strided second convolution. Otherwise the resolution is halved by
        2×2 means between the two convolutions, which is cheaper.
    """

    def __init__(self, inputs: int, outputs: int, *, filtered: bool) -> None:
        super().__init__()
        resample, self.pool = ("down", 1) if filtered else ("", 2)
        self.first = EqualisedConv(inputs, inputs, 3, gain=LRELU_GAIN)
        self.second = EqualisedConv(inputs, outputs, 3, gain=LRELU_GAIN, resample=resample)
        self.skip = EqualisedConv(inputs, outputs, 1, bias=False, resample=resample)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H / 2, W / 2)``."""
        hidden = lrelu(self.second(self._pooled(lrelu(self.first(x)))))
        reduced: torch.Tensor = (hidden + self.skip(self._pooled(x))) * 0.5**0.5
        return reduced

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, self.pool) if self.pool > 1 else x


def minibatch_stddev(x: torch.Tensor) -> torch.Tensor:
    """Add a plane with the mean standard deviation among 4 images: ``(B, C, H, W)`` to ``(B, C + 1, H, W)``.

    It reveals a generator that always draws the same image (arXiv 1710.10196). In a batch that isn't a multiple of 4,
    the group is the whole batch.
    """
    size = _MBSTD_GROUP_SIZE if len(x) % _MBSTD_GROUP_SIZE == 0 else len(x)
    groups = x.float().unflatten(0, (size, -1))
    stddev = (groups.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3)).repeat(size)
    return torch.cat([x, stddev[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)], dim=1)
