"""The two networks of pix2pix (Isola et al., CVPR 2017): a U-Net that draws, and a PatchGAN that judges patches."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import nn
from torch.nn import functional

from synthbench.toolkit.layers.upsampling import upsample2x

Norm = Literal["batch", "instance", "none"]


class SeededDropout(nn.Module):
    """Dropout that can stay on when images are drawn, from a generator of its own.

    Attributes
    ----------
    generator : torch.Generator or None
        On the CPU. While it is set, dropout is on outside training too, and draws from it.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.generator is None:
            return functional.dropout(x, self.share, self.training)
        kept = torch.rand(x.shape, generator=self.generator) >= self.share
        return x * kept.to(x) / (1.0 - self.share)


class Encoder(nn.Module):
    """Half the resolution: strided 4×4 convolution, norm, LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(self.norm(self.convolution(x)), 0.2)


class Decoder(nn.Module):
    """Twice the resolution: 3×3 convolution, norm, dropout, ReLU, bilinear enlargement; then the skip is joined.

    A transposed convolution, as in the original, leaves a checkerboard (this project's choice).
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)
        self.dropout = SeededDropout(dropout)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.dropout(self.norm(self.convolution(x))))
        return torch.cat([upsample2x(x), skip], dim=1)


class UNet(nn.Module):
    """Condition to image, at any size: padded by reflection to the next multiple of 2^depth, and cut back.

    Beside the original's halving stages there is a thin one of full resolution, on both sides: outlines stay crisp
    and noise planes reach single pixels (this project's choice).

    Parameters
    ----------
    inputs
        Planes of the condition, noise included.
    channels
        Planes of the image, 1 or 3.
    filters
        Planes after the first halving; they double at each further one, up to eight times.
    depth
        How often the resolution is halved.
    norm
    dropout
        In the two innermost decoders.
    """

    def __init__(self, inputs: int, channels: int, filters: int, depth: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.multiple = 2**depth
        fine = max(8, filters // 4)
        widths = [fine] + [filters * min(2**k, 8) for k in range(depth)]
        self.stem = nn.Conv2d(inputs, fine, 3, 1, 1)
        self.encoders = nn.ModuleList(Encoder(a, b, norm) for a, b in itertools.pairwise(widths))
        self.decoders = nn.ModuleList()
        inner = widths[-1]
        for k, width in enumerate(reversed(widths[:-1])):
            self.decoders.append(Decoder(inner, width, norm, dropout if k < 2 else 0.0))
            inner = 2 * width
        self.last = nn.Conv2d(inner, fine, 3, 1, 1)
        self.to_image = nn.Conv2d(fine, channels, 3, 1, 1)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)`` in −1 … 1."""
        height, width = condition.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        skips = [functional.leaky_relu(self.stem(_extended(condition, below, right)), 0.2)]
        for encoder in self.encoders:
            skips.append(encoder(skips[-1]))
        x = skips.pop()
        for decoder in self.decoders:
            x = decoder(x, skips.pop())
        x = self.to_image(functional.leaky_relu(self.last(x), 0.2))
        return torch.tanh(x[..., :height, :width])

    def keep_dropping(self, generator: torch.Generator | None) -> None:
        """Let dropout draw from `generator` outside training, or leave it off where there is none."""
        for decoder in self.decoders:
            if decoder.dropout.share > 0:
                decoder.dropout.generator = generator


def discriminator(inputs: int, filters: int, norm: Norm) -> PatchDiscriminator:
    """Return a PatchGAN: condition and image, ``(B, inputs, H, W)``, to logits of overlapping 70-pixel patches.

    It returns the features of each layer; the logits are the last of them.
    """
    kind = {"batch": "BATCH", "instance": "INSTANCE", "none": None}[norm]
    return PatchDiscriminator(
        spatial_dims=2, channels=filters, in_channels=inputs, num_layers_d=3, norm=kind, bias=kind is None
    )


def _norm(norm: Norm, planes: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(planes)
    return nn.InstanceNorm2d(planes, affine=True) if norm == "instance" else nn.Identity()


def _extended(x: torch.Tensor, below: int, right: int) -> torch.Tensor:
    """Continue planes downwards and to the right by reflection, in several goes where the planes are small."""
    while below or right:
        down, over = min(below, x.shape[-2] - 1), min(right, x.shape[-1] - 1)
        if (below and not down) or (right and not over):
            return functional.pad(x, (0, right, 0, below), mode="replicate")
        x = functional.pad(x, (0, over, 0, down), mode="reflect")
        below, right = below - down, right - over
    return x
