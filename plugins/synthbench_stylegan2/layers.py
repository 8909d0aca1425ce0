"""Layers of StyleGAN2 (Karras et al. 2020, arXiv 1912.04958) with equalised learning rates (arXiv 1710.10196).

Weights start at standard deviation 1 and are scaled when they are used, so that Adam changes all layers alike.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.upsampling import upsample2x

__all__ = [
    "LRELU_GAIN",
    "EqualisedConv",
    "EqualisedLinear",
    "ModulatedConv",
    "Noise",
    "SynthesisLayer",
    "filter_1331",
    "lrelu",
    "replicate_edge",
]

LRELU_GAIN = math.sqrt(2.0)
"""Gain of the weights of a layer that is followed by `lrelu`."""


def lrelu(x: torch.Tensor) -> torch.Tensor:
    """Return the leaky ReLU with slope 0.2."""
    return F.leaky_relu(x, 0.2)


class EqualisedLinear(nn.Module):
    """A fully connected layer.

    Parameters
    ----------
    inputs, outputs
    bias
        Initial value of the bias.
    gain
        Gain of the weights.
    lr_multiplier
        Factor of the learning rate of this layer.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, gain: float = 1.0, lr_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.scale, self.lr_multiplier = gain * lr_multiplier / math.sqrt(inputs), lr_multiplier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs)`` to ``(B, outputs)``."""
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)


class EqualisedConv(nn.Module):
    """A convolution with an odd kernel, at the same, twice, or half the resolution.

    Parameters
    ----------
    inputs, outputs, kernel
    gain
        Gain of the weights.
    bias
    replicate
        Pad by repeating the outermost pixels instead of zeros; for kernels of 3.
    resample
        ``up``: a transposed convolution of stride 2 and then the filter (1, 3, 3, 1); ``down``: the filter and then a
        convolution of stride 2, as StyleGAN2. Kernels of 3, or of 1 for ``down``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = 1.0,
        bias: bool = True,
        replicate: bool = False,
        resample: str = "",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.replicate, self.resample = gain / math.sqrt(inputs * kernel**2), replicate, resample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``, ``(…, 2H, 2W)`` or ``(…, H / 2, W / 2)``."""
        weight = self.weight * self.scale
        if self.resample == "up":
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = filter_1331(x, padding=1, gain=4.0)
            return x if self.bias is None else x + self.bias[:, None, None].to(x.dtype)
        if self.resample == "down":
            reach = weight.shape[-1] // 2
            return F.conv2d(filter_1331(x, padding=1 + reach), weight, self.bias, stride=2)
        if self.replicate:
            return F.conv2d(replicate_edge(x), weight, self.bias)
        return F.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style (eq. 1), with demodulated outputs (eq. 3).

    Scaling the planes before and after a common convolution is equal to convolving each image with weights of its own,
    and faster. Without demodulation, as before the last planes, there is no gain either, because no activation follows.

    Parameters
    ----------
    inputs, outputs, kernel
    w_dim
        Length of w.
    demodulate
    replicate, resample
        See `EqualisedConv`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        w_dim: int,
        *,
        demodulate: bool = True,
        replicate: bool = False,
        resample: str = "",
    ) -> None:
        super().__init__()
        self.affine = EqualisedLinear(w_dim, inputs, bias=1.0)
        self.gain = LRELU_GAIN if demodulate else 1.0
        self.conv = EqualisedConv(
            inputs, outputs, kernel, gain=self.gain, bias=False, replicate=replicate, resample=resample
        )
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulate = demodulate

    def without_bias(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Return what `forward` returns, before the bias is added."""
        style = self.affine(w)
        x = self.conv(x * style[:, :, None, None].to(x.dtype))
        if not self.demodulate:
            return x
        squares = (self.conv.weight * self.conv.scale).square().sum(dim=(2, 3))
        norm = self.gain * torch.rsqrt(style.square() @ squares.T + 1e-8)
        return x * norm[:, :, None, None].to(x.dtype)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)``, with w ``(B, w_dim)``, to ``(B, outputs, H, W)``."""
        return self.without_bias(x, w) + self.bias[:, None, None].to(x.dtype)


class SynthesisLayer(nn.Module):
    """A modulated convolution with noise, bias and activation.

    Parameters
    ----------
    inputs, outputs, w_dim
    up
        Double the resolution.
    noisy
        Add noise before the activation.
    filtered
        Double it by a transposed convolution and a filter, as StyleGAN2; otherwise by bilinear interpolation after a
        convolution at the lower resolution, which costs a quarter.
    """

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, *, up: bool = False, noisy: bool = True, filtered: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, w_dim, resample="up" if up and filtered else "")
        self.noise = Noise() if noisy else None
        self.interpolate = up and not filtered

    def forward(self, x: torch.Tensor, w: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H, W)``, or twice the size; noise is drawn from `random`."""
        x = self.conv.without_bias(x, w)
        if self.interpolate:
            x = upsample2x(x)
        if self.noise is not None:
            x = self.noise(x, random)
        return lrelu(x + self.conv.bias[:, None, None].to(x.dtype))


class Noise(nn.Module):
    """Adds white noise, the same to all channels, of a learned strength that starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Add noise drawn from `random`, on any device, to ``(B, C, H, W)``."""
        noise = torch.randn((len(x), 1, *x.shape[2:]), generator=random, device=random.device).to(x.device)
        return x + (self.strength * noise).to(x.dtype)


def filter_1331(x: torch.Tensor, *, padding: int, gain: float = 1.0) -> torch.Tensor:
    """Return planes filtered by (1, 3, 3, 1) / 8 along both axes, after zero padding.

    Parameters
    ----------
    x
        ``(B, C, H, W)``.
    padding
        Zeros on each side.
    gain
        Factor of the result.

    Returns
    -------
    torch.Tensor
        ``(B, C, H + 2 · padding − 3, W + 2 · padding − 3)``.
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = (gain * torch.outer(taps, taps)).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def replicate_edge(x: torch.Tensor) -> torch.Tensor:
    """Repeat the outermost rows and columns once, ``(B, C, H, W)`` to ``(B, C, H + 2, W + 2)``.

    By concatenation, because torch's replication padding has no fast deterministic gradient on a GPU.
    """
    x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    return torch.cat([x[..., :1], x, x[..., -1:]], dim=3)
