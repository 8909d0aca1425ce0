"""The generator of SPADE (Park et al. 2019, arXiv 1903.07291, section 3): the mask enters at every resolution."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from synthbench.toolkit.layers.initialisation import initialise_xavier
from synthbench.toolkit.layers.padding import at_multiple

__all__ = ["Norm", "NumUpsampling", "Spade", "SpadeBlock", "SpadeGenerator"]

Norm = Literal["batch", "instance"]

NumUpsampling = Literal["normal", "more", "most"]
"""5, 6 or 7 upsamplings by a factor of 2."""

_SLOPE = 0.2


class Spade(nn.Module):
    """Spatially adaptive normalisation: a norm without weights, scaled and shifted by what the condition says.

    Parameters
    ----------
    width
        Planes of the features.
    condition
        Planes of the condition.
    nhidden
        Planes between the condition and the scales; 128 in the paper.
    norm
    """

    def __init__(self, width: int, condition: int, nhidden: int, norm: Norm) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False) if norm == "batch" else nn.InstanceNorm2d(width)
        self.shared = nn.Conv2d(condition, nhidden, 3, padding=1)
        self.gamma = nn.Conv2d(nhidden, width, 3, padding=1)
        self.beta = nn.Conv2d(nhidden, width, 3, padding=1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Normalise ``(B, width, h, w)``; the condition, ``(B, condition, H, W)``, is resized to h × w."""
        resized = functional.interpolate(condition, size=x.shape[2:], mode="nearest")
        hidden = functional.relu(self.shared(resized))
        scaled: torch.Tensor = self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)
        return scaled


class SpadeBlock(nn.Module):
    """Residual block: twice `Spade`, LeakyReLU and 3×3 convolution; 1×1 shortcut where the width changes.

    The convolutions have spectral norm. The width between them is the smaller of the two.
    """

    def __init__(self, inputs: int, outputs: int, condition: int, nhidden: int, norm: Norm) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0 = Spade(inputs, condition, nhidden, norm)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.norm_1 = Spade(middle, condition, nhidden, norm)
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.has_shortcut = inputs != outputs
        if self.has_shortcut:
            self.norm_s = Spade(inputs, condition, nhidden, norm)
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        shortcut = self.conv_s(self.norm_s(x, condition)) if self.has_shortcut else x
        x = self.conv_0(functional.leaky_relu(self.norm_0(x, condition), _SLOPE))
        x = self.conv_1(functional.leaky_relu(self.norm_1(x, condition), _SLOPE))
        added: torch.Tensor = shortcut + x
        return added


class SpadeGenerator(nn.Module):
    """Condition to image: the condition at the lowest resolution, then residual blocks that see it at theirs.

    Weights start as Glorot's, times 0.02, except those of the last convolution, so that images aren't flat. Sides that
    `multiple` doesn't divide are extended by reflection.

    Parameters
    ----------
    inputs, channels
        Planes of the condition and of the image.
    ngf
        Planes of the block at full resolution; the first three blocks have 16 · ngf.
    nhidden
        Planes of the layers between the condition and the scales.
    num_upsampling
        With ``most`` there is one more block, of ngf / 2 planes.
    norm
    """

    def __init__(
        self, inputs: int, channels: int, ngf: int, nhidden: int, num_upsampling: NumUpsampling, norm: Norm
    ) -> None:
        super().__init__()
        widths = [16 * ngf] * 4 + [8 * ngf, 4 * ngf, 2 * ngf, ngf]
        if num_upsampling == "most":
            widths.append(ngf // 2)
        self.upsampled = [k > 0 and (k != 2 or num_upsampling != "normal") for k in range(len(widths) - 1)]
        self.multiple = 2 ** sum(self.upsampled)
        self.first = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SpadeBlock(widths[k], widths[k + 1], inputs, nhidden, norm) for k in range(len(widths) - 1)
        )
        self.to_image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.apply(initialise_xavier)
        initialise_xavier(self.to_image, 1.0)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)`` in −1 … 1."""
        return at_multiple(self._draw, condition, self.multiple)

    def _draw(self, condition: torch.Tensor) -> torch.Tensor:
        smallest = [side // self.multiple for side in condition.shape[2:]]
        x = self.first(functional.interpolate(condition, size=smallest, mode="nearest"))
        for block, upsampled in zip(self.blocks, self.upsampled, strict=True):
            if upsampled:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(x, condition)
        return torch.tanh(self.to_image(functional.leaky_relu(x, _SLOPE)))
