"""Layers of StyleGAN2 (Karras et al. 2020, arXiv 1912.04958), with equalised learning rates (arXiv 1710.10196).

Weights start at deviation 1 and are scaled when they are used, so that Adam moves all layers alike.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.upsampling import upsample2x

AFTER_RELU = math.sqrt(2.0)
"""Gain of a layer that follows, or is followed by, `relu`: it keeps the variance."""


def relu(x: torch.Tensor) -> torch.Tensor:
    """Leaky, with a slope of 0.2."""
    return F.leaky_relu(x, 0.2)


class Linear(nn.Module):
    """A fully connected layer.

    Parameters
    ----------
    inputs, outputs
    bias
        Its first value.
    gain
        Of the weights.
    rate
        Share of the learning rate that it learns with.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, gain: float = 1.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(inputs), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs)`` to ``(B, outputs)``."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution of odd kernel that keeps the size: zeros beyond the edge, or, `framed`, the outermost pixels."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = True, framed: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.framed = gain / math.sqrt(inputs * kernel**2), framed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``."""
        if self.framed:
            return F.conv2d(continued(x), self.weight * self.scale, self.bias)
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style (eq. 1), and whose outputs have variance 1 (eq. 3).

    Scaling the planes before and after a common convolution is the same as convolving each image with weights of its
    own, and cheaper. Without demodulation, as before the last planes, there is eq. 1 alone, and no gain either, because
    no activation follows.

    Parameters
    ----------
    inputs, outputs, kernel
    style
        Length of w.
    demodulate
    framed
        See `Conv`; for kernels of 3.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style: int, *, demodulate: bool = True, framed: bool = False
    ) -> None:
        super().__init__()
        self.affine = Linear(style, inputs, bias=1.0)
        self.gain = AFTER_RELU if demodulate else 1.0
        self.conv = Conv(inputs, outputs, kernel, gain=self.gain, bias=False, framed=framed)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulate = demodulate

    def scaled(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Return the planes before the bias is added; see `forward`."""
        style = self.affine(w)
        x = self.conv(x * style[:, :, None, None].to(x.dtype))
        if not self.demodulate:
            return x
        squares = (self.conv.weight * self.conv.scale).square().sum(dim=(2, 3))
        norm = self.gain * torch.rsqrt(style.square() @ squares.T + 1e-8)
        return x * norm[:, :, None, None].to(x.dtype)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)``, with styles w ``(B, style)``, to ``(B, outputs, H, W)``."""
        return self.scaled(x, w) + self.bias[:, None, None].to(x.dtype)


class Layer(nn.Module):
    """A modulated convolution, perhaps twice the resolution, perhaps noise, bias and activation.

    The resolution is doubled after the convolution, which so costs a quarter; this project's choice.
    """

    def __init__(self, inputs: int, outputs: int, style: int, *, up: bool = False, noisy: bool = True) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, style)
        self.noise = Noise() if noisy else None
        self.up = up

    def forward(self, x: torch.Tensor, w: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``, or twice the size; noise is drawn from `random`."""
        x = self.conv.scaled(x, w)
        if self.up:
            x = upsample2x(x)
        if self.noise is not None:
            x = self.noise(x, random)
        return relu(x + self.conv.bias[:, None, None].to(x.dtype))


class Noise(nn.Module):
    """Adds white noise, the same to all channels, of a strength that is learnt and starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Add noise drawn from `random`, on any device, to ``(B, C, H, W)``."""
        noise = torch.randn((len(x), 1, *x.shape[2:]), generator=random, device=random.device).to(x.device)
        return x + (self.strength * noise).to(x.dtype)


def continued(x: torch.Tensor) -> torch.Tensor:
    """Repeat the outermost rows and columns once, ``(B, C, H, W)`` to ``(B, C, H + 2, W + 2)``.

    Sums of slices, because torch's padding has no fast deterministic gradient on a GPU.
    """
    x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    return torch.cat([x[..., :1], x, x[..., -1:]], dim=3)
