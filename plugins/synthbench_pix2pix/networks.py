"""The networks of pix2pix (Isola et al. 2017, section 6.1): a U-Net generator and a PatchGAN discriminator.

`UNet` is the published generator; `BilinearUNet` is this project's variant for short trainings.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import nn
from torch.nn import functional

from synthbench.toolkit.layers.padding import extend_by_reflection
from synthbench.toolkit.layers.upsampling import upsample2x

__all__ = ["BilinearUNet", "Norm", "SeededDropout", "UNet", "patch_discriminator", "set_dropout_generator"]

Norm = Literal["batch", "instance", "none"]

_SLOPE = 0.2
_INIT_STD = 0.02
_MAX_WIDTH = 8
_DROPOUT_BLOCKS = 3


class SeededDropout(nn.Module):
    """Dropout that can also be on in evaluation mode, with random numbers of its own.

    Parameters
    ----------
    p
        Probability of an element to become 0.

    Attributes
    ----------
    generator : torch.Generator or None
        On the CPU. While it is set, dropout is on in evaluation mode too, and draws from it.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.generator is None:
            return functional.dropout(x, self.p, self.training)
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept.to(x) / (1.0 - self.p)


def set_dropout_generator(network: nn.Module, generator: torch.Generator | None) -> None:
    """Let all dropout of a network draw from `generator` in evaluation mode; None switches it off there."""
    for module in network.modules():
        if isinstance(module, SeededDropout) and module.p > 0:
            module.generator = generator


class Downsample(nn.Module):
    """Ck of the encoder: LeakyReLU, 4×4 convolution with stride 2, norm; the first block has the convolution only."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.first else functional.leaky_relu(x, _SLOPE)
        normalised: torch.Tensor = self.norm(self.convolution(x))
        return normalised


class Upsample(nn.Module):
    """Ck or CDk of the decoder: ReLU, transposed 4×4 convolution with stride 2, norm, dropout."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)
        self.dropout = SeededDropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        upsampled: torch.Tensor = self.dropout(self.norm(self.convolution(functional.relu(x))))
        return upsampled


class UNet(nn.Module):
    """The published generator: encoder C64-C128-C256-C512 …, decoder CD512-CD512-CD512-C512 … with skips (6.1.1).

    The first and the innermost block have no norm; weights start as N(0, 0.02²). Images of any size are extended by
    reflection to a multiple of 2^num_downs, and the output is cropped.

    Parameters
    ----------
    inputs
        Planes of the condition.
    channels
        Planes of the image, 1 or 3.
    ngf
        Planes after the first downsampling; they double with each further one, up to 8 · ngf.
    num_downs
        Number of downsampling blocks.
    norm
    dropout
        Probability in the first three decoder blocks.
    """

    def __init__(self, inputs: int, channels: int, ngf: int, num_downs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.multiple = 2**num_downs
        widths = [ngf * min(2**k, _MAX_WIDTH) for k in range(num_downs)]
        self.encoder = nn.ModuleList()
        for k, (planes, width) in enumerate(itertools.pairwise([inputs, *widths])):
            without_norm = k in (0, num_downs - 1)
            self.encoder.append(Downsample(planes, width, "none" if without_norm else norm, first=k == 0))
        self.decoder = nn.ModuleList()
        planes = widths[-1]
        for k, width in enumerate(reversed(widths[:-1])):
            self.decoder.append(Upsample(planes, width, norm, dropout if k < _DROPOUT_BLOCKS else 0.0))
            planes = 2 * width
        self.to_image = nn.ConvTranspose2d(planes, channels, 4, 2, 1)
        self.apply(_initialise)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)`` in −1 … 1."""
        height, width = condition.shape[-2:]
        x = extend_by_reflection(condition, -height % self.multiple, -width % self.multiple)
        skips: list[torch.Tensor] = []
        for down in self.encoder:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.decoder:
            x = torch.cat([up(x), skips.pop()], dim=1)
        image = torch.tanh(self.to_image(functional.relu(x)))
        return image[..., :height, :width]


class BilinearEncoder(nn.Module):
    """Half the resolution: 4×4 convolution with stride 2, norm, LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(self.norm(self.convolution(x)), _SLOPE)


class BilinearDecoder(nn.Module):
    """Twice the resolution: 3×3 convolution, norm, dropout, ReLU, bilinear upsampling, concatenation with the skip."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=norm == "none")
        self.norm = _norm(norm, outputs)
        self.dropout = SeededDropout(dropout)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.dropout(self.norm(self.convolution(x))))
        return torch.cat([upsample2x(x), skip], dim=1)


class BilinearUNet(nn.Module):
    """A generator for short trainings (this project's): no checkerboard, and a stage at full resolution.

    Transposed convolutions leave a checkerboard until they are trained for long. The narrow stage at full resolution,
    in the encoder and in the decoder, keeps outlines sharp, and lets noise planes reach single pixels.

    Parameters
    ----------
    inputs, channels, ngf, num_downs, norm
        As for `UNet`.
    dropout
        Probability in the two innermost decoder blocks.
    """

    def __init__(self, inputs: int, channels: int, ngf: int, num_downs: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.multiple = 2**num_downs
        fine = max(8, ngf // 4)
        widths = [fine] + [ngf * min(2**k, _MAX_WIDTH) for k in range(num_downs)]
        self.stem = nn.Conv2d(inputs, fine, 3, 1, 1)
        self.encoders = nn.ModuleList(BilinearEncoder(a, b, norm) for a, b in itertools.pairwise(widths))
        self.decoders = nn.ModuleList()
        planes = widths[-1]
        for k, width in enumerate(reversed(widths[:-1])):
            self.decoders.append(BilinearDecoder(planes, width, norm, dropout if k < 2 else 0.0))
            planes = 2 * width
        self.last = nn.Conv2d(planes, fine, 3, 1, 1)
        self.to_image = nn.Conv2d(fine, channels, 3, 1, 1)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, channels, H, W)`` in −1 … 1."""
        height, width = condition.shape[-2:]
        extended = extend_by_reflection(condition, -height % self.multiple, -width % self.multiple)
        skips = [functional.leaky_relu(self.stem(extended), _SLOPE)]
        for encoder in self.encoders:
            skips.append(encoder(skips[-1]))
        x = skips.pop()
        for decoder in self.decoders:
            x = decoder(x, skips.pop())
        x = self.to_image(functional.leaky_relu(self.last(x), _SLOPE))
        return torch.tanh(x[..., :height, :width])


def patch_discriminator(inputs: int, ndf: int, n_layers: int, norm: Norm) -> PatchDiscriminator:
    """Return a PatchGAN discriminator, C64-C128-C256-C512 with 3 layers (6.1.2); weights start as N(0, 0.02²).

    It maps condition and image, ``(B, inputs, H, W)``, to the features of each layer; the last of them are the logits
    of overlapping patches.
    """
    name = {"batch": "BATCH", "instance": "INSTANCE", "none": None}[norm]
    return PatchDiscriminator(
        spatial_dims=2,
        channels=ndf,
        in_channels=inputs,
        num_layers_d=n_layers,
        norm=name,  # type: ignore[arg-type]  # MONAI takes None, too
        bias=name is None,
    )


def _norm(norm: Norm, planes: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(planes)
    return nn.InstanceNorm2d(planes, affine=True) if norm == "instance" else nn.Identity()


def _initialise(module: nn.Module) -> None:
    """Initialise the weights as in section 6.2: convolutions N(0, 0.02²), and the scales of norms N(1, 0.02²)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, _INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, _INIT_STD)
        nn.init.zeros_(module.bias)
