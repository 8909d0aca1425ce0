"""The image-to-image network of Johnson et al. 2016, as in CycleGAN and in pix2pixHD's global generator."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from synthbench.toolkit.layers.initialisation import initialise_normal
from synthbench.toolkit.layers.padding import at_multiple
from synthbench.toolkit.layers.upsampling import upsample2x

__all__ = ["ResNetGenerator", "Upsampling"]

Upsampling = Literal["transposed", "bilinear"]
"""``transposed``: 3×3 transposed convolutions with stride 2; ``bilinear``: bilinear upsampling and 3×3 convolutions."""


class ResNetGenerator(nn.Module):
    """7×7 convolution, downsampling, residual blocks, upsampling, 7×7 convolution, tanh.

    Convolutions with stride 1 pad by reflection. All but the last are followed by an instance norm without weights, and
    all but the last and the second one of each residual block by a ReLU. Weights start as N(0, 0.02²). With 64, 2 and 9
    it is the generator of CycleGAN for images of 256² and more (arXiv 1703.10593); with 64, 4 and 9, the global
    generator of pix2pixHD (arXiv 1711.11585). Sides that `multiple` doesn't divide are extended by reflection.

    Parameters
    ----------
    inputs, channels
        Planes of the condition and of the image.
    ngf
        Planes at full resolution; they double with each downsampling.
    n_downsampling
        How often the resolution is halved.
    n_blocks
        Number of residual blocks.
    upsampling
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        ngf: int,
        n_downsampling: int,
        n_blocks: int,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        self.multiple = 2**n_downsampling
        widths = [ngf * 2**k for k in range(n_downsampling + 1)]
        layers: list[nn.Module] = [nn.Conv2d(inputs, ngf, 7, padding=3, padding_mode="reflect"), *_norm_relu(ngf)]
        for width in widths[:-1]:
            layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), *_norm_relu(2 * width)]
        layers += [ResidualBlock(widths[-1]) for _ in range(n_blocks)]
        for width in reversed(widths[:-1]):
            if upsampling == "transposed":
                layers.append(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1))
            else:
                layers += [Upsample2x(), nn.Conv2d(2 * width, width, 3, padding=1, padding_mode="reflect")]
            layers += _norm_relu(width)
        layers += [nn.Conv2d(ngf, channels, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise_normal)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)`` in −1 … 1."""
        return at_multiple(self.layers, condition, self.multiple)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm, a ReLU between them, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            *_norm_relu(width),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = x + self.layers(x)
        return added


class Upsample2x(nn.Module):
    """Bilinear upsampling by a factor of 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return upsample2x(x)


def _norm_relu(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU()]
