"""Layers of R3GAN (Huang et al. 2024, arXiv 2501.05441): residual blocks without normalisation, and resampling.

Convolutions have no bias; the activations add it. Weights are drawn from N(0, gain² / fan-in).
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["GROUP_WIDTH", "BiasedActivation", "ResidualBlock", "convolution", "downsample2x", "linear", "upsample2x"]

LayerT = TypeVar("LayerT", nn.Conv2d, nn.Linear)

GROUP_WIDTH = 16
"""Channels of a group of the grouped convolutions, at all widths of the authors' networks."""
EXPANSION = 2
"""Channels inside a residual block, relative to those outside."""

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))
"""Keeps the variance through a leaky ReLU."""


class BiasedActivation(nn.Module):
    """Adds a bias to each channel, which starts at 0, and applies a leaky ReLU with slope 0.2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        return F.leaky_relu(x + self.bias[:, None, None].to(x.dtype), _SLOPE)


class ResidualBlock(nn.Module):
    """x + f(x), where f is a 1×1 convolution, a grouped 3×3 one and a 1×1 one that starts at 0.

    Parameters
    ----------
    channels
    blocks
        Number of residual blocks of the whole network, L: the first two convolutions start smaller by the factor
        L^(−1/4), as in Fixup for blocks of three layers (Zhang et al. 2019, arXiv 1901.09321).
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        inner, gain = EXPANSION * channels, _GAIN * blocks**-0.25
        self.expand = convolution(channels, inner, 1, gain=gain)
        self.grouped = convolution(inner, inner, 3, groups=max(1, inner // GROUP_WIDTH), gain=gain)
        self.reduce = convolution(inner, channels, 1, gain=0.0)
        self.first = BiasedActivation(inner)
        self.second = BiasedActivation(inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, channels, H, W)`` to the same shape."""
        y = self.first(self.expand(x))
        y = self.second(self.grouped(y))
        changed: torch.Tensor = x + self.reduce(y)
        return changed


def convolution(
    inputs: int, outputs: int, kernel: int, *, groups: int = 1, gain: float = 1.0, padding: int | None = None
) -> nn.Conv2d:
    """Return a convolution without bias, and with weights from N(0, gain² / fan-in).

    Parameters
    ----------
    inputs, outputs
        Numbers of channels.
    kernel
    groups
    gain
        0: all weights are 0.
    padding
        Zeros on each side; by default as many as keep the size.
    """
    layer = nn.Conv2d(
        inputs, outputs, kernel, padding=kernel // 2 if padding is None else padding, groups=groups, bias=False
    )
    return _initialise(layer, gain)


def linear(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """Return a fully connected layer without bias, and with weights from N(0, gain² / inputs)."""
    return _initialise(nn.Linear(inputs, outputs, bias=False), gain)


def _initialise(layer: LayerT, gain: float) -> LayerT:
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    return layer


def upsample2x(x: torch.Tensor) -> torch.Tensor:
    """Return planes of twice the size: zeros in between, and then the low-pass filter of `downsample2x`."""
    kernel = 4 * _low_pass(x)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def downsample2x(x: torch.Tensor) -> torch.Tensor:
    """Return planes of half the size, ``(B, C, H, W)`` to ``(B, C, H / 2, W / 2)``.

    The low-pass filter is (1, 2, 1) ∗ (1, 1) = (1, 3, 3, 1) along both axes, which is between two pixels; beyond the
    border are zeros.
    """
    return F.conv2d(x, _low_pass(x), stride=2, padding=1, groups=x.shape[1])


def _low_pass(x: torch.Tensor) -> torch.Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    return torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
