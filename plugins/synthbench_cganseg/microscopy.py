"""Variants of StyleUNet and of the discriminators (additions of this project), for short trainings on micrographs.

They differ from the published networks (`synthbench_cganseg.networks`) in what their docstrings name. What the
differences bring stands in `docs/ablations.md`.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from synthbench.toolkit.layers.upsampling import upsample2x
from synthbench_cganseg.layers import MAPPING_LAYERS, STYLE_DIM, StyledNetwork

__all__ = ["BilinearStyleUNet", "DiscriminatorWithoutNorm"]

Norm = Literal["batch", "pixel"]

_GAIN = math.sqrt(2.0)
_SLOPE = 0.2
_SMALL_STD = 0.1
_DISCRIMINATOR_STD = 0.01
_INITIAL_NOISE = 0.3
_BLUR_SIGMA, _BLUR_RADIUS = 1.5, 3


class PlainLayer(nn.Module):
    """3×3 convolution and LeakyReLU, with batch norm between them or pixel norm after them.

    It accepts a style like `ModulatedLayer`, and ignores it.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=norm == "pixel")
        self.norm = nn.BatchNorm2d(outputs) if norm == "batch" else None
        if norm == "pixel":
            nn.init.kaiming_normal_(self.convolution.weight, a=_SLOPE)

    def forward(
        self, x: torch.Tensor, style: torch.Tensor | None = None, random: torch.Generator | None = None
    ) -> torch.Tensor:
        x = self.convolution(x)
        if self.norm is None:
            return _unit(functional.leaky_relu(x, _SLOPE))
        return functional.leaky_relu(self.norm(x), _SLOPE)


class ModulatedLayer(nn.Module):
    """Modulated and demodulated 3×3 convolution (Karras et al. 2020, equations 1 to 3), noise, LeakyReLU, pixel norm.

    The planes are scaled instead of the weights, which gives the same result without a convolution per sample. Noise
    is Gaussian, with a strength per plane that starts at 0.3. Without pixel norm, the output is multiplied by √2.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.scales = nn.Linear(STYLE_DIM, inputs)
        nn.init.normal_(self.scales.weight, std=1 / math.sqrt(STYLE_DIM))
        nn.init.ones_(self.scales.bias)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(9 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise = nn.Parameter(torch.full((outputs,), _INITIAL_NOISE))

    def forward(self, x: torch.Tensor, style: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` by styles ``(B, STYLE_DIM)``; the noise comes from `random`, on its device."""
        scales = self.scales(style).float()
        lengths = scales.square() @ self.weight.float().square().sum(dim=(2, 3)).T
        x = functional.conv2d(x * scales[:, :, None, None].to(x.dtype), self.weight, padding=1)
        noise = torch.randn((len(x), 1, *x.shape[2:]), generator=random, device=random.device).to(x)
        added = torch.addcmul(self.bias[:, None, None], self.noise[:, None, None], noise).to(x.dtype)
        x = torch.addcmul(added, x, torch.rsqrt(lengths + 1e-8)[:, :, None, None].to(x.dtype))
        x = functional.leaky_relu(x, _SLOPE)
        return _unit(x) if self.norm == "pixel" else x * _GAIN


class Mapping(nn.Module):
    """Noise ``(…, STYLE_DIM)``, normalised to unit variance, to a style of the same shape.

    With torch's initial weights, styles start at about a twentieth of the noise; after a short training images hardly
    differ by style.
    """

    def __init__(self) -> None:
        super().__init__()
        layers = [(nn.Linear(STYLE_DIM, STYLE_DIM), nn.LeakyReLU(0.2)) for _ in range(MAPPING_LAYERS)]
        self.layers = nn.Sequential(*itertools.chain.from_iterable(layers))

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        styles: torch.Tensor = self.layers(_unit(noise, -1))
        return styles


class BilinearStyleUNet(StyledNetwork):
    """A StyleUNet with bilinear upsampling.

    A decoder block has one modulated convolution before bilinear upsampling, and one after the skip is concatenated,
    each with a style of its own; the published one has a transposed convolution and two modulated ones.

    With intensity conditioning, the blurred intensities of the objects are added to the output, and the last
    convolution starts near 0. So the first images show objects with the right sign: a training that starts with dark
    objects where real ones are bright stays there, because the cycle rewards objects that the segmenter can find, and
    objects of the right sign are reached only through invisible ones.

    Parameters
    ----------
    inputs
        Planes of the condition: mask and intensities.
    channels
        Planes of the image, 1 or 3.
    filters
        Planes at full resolution; they double with each halving.
    depth
        How often the resolution is halved.
    style
        False: a plain U-Net, whose image is a function of the condition alone.
    norm
        ``batch``: of all convolutions that aren't modulated; ``pixel``: of all (Karras et al. 2018, section 4.2).
    intensity_planes
        Number of intensity planes, the last planes of the condition; the last convolution gets them too.
    object_planes
        How many of these, the first ones, are statistics of single objects: the intensity of each channel, then others.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        filters: int,
        depth: int,
        style: bool,
        norm: Norm = "batch",
        intensity_planes: int = 0,
        object_planes: int = 0,
    ) -> None:
        super().__init__()
        self.intensity_planes = intensity_planes
        self.multiple = 2**depth
        self.styles = 2 * depth
        widths = [filters * 2**k for k in range(depth + 1)]
        block = functools.partial(ModulatedLayer if style else PlainLayer, norm=norm)
        self.mapping = Mapping() if style else None
        self.encoders = nn.ModuleList(
            nn.Sequential(PlainLayer(a, b, norm), PlainLayer(b, b, norm))
            for a, b in itertools.pairwise([inputs, *widths])
        )
        pairs = list(itertools.pairwise(reversed(widths)))
        self.before = nn.ModuleList(block(a, b) for a, b in pairs)
        self.after = nn.ModuleList(block(2 * b, b) for _, b in pairs)
        self.to_image = nn.Conv2d(filters + intensity_planes, channels, 1)
        nn.init.normal_(self.to_image.weight, std=_SMALL_STD / math.sqrt(filters + intensity_planes))
        assert self.to_image.bias is not None
        nn.init.zeros_(self.to_image.bias)
        self.blur = _gaussian_blur(channels) if object_planes else None

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the mapping."""
        return [] if self.mapping is None else list(self.mapping.parameters())

    def draw(self, condition: torch.Tensor, noise: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        x = self.encoders[0](condition)
        skips = []
        for encoder in self.encoders[1:]:
            skips.append(x)
            x = encoder(functional.max_pool2d(x, 2))
        styles = [None] * self.styles if self.mapping is None else self.mapping(noise).unbind(dim=1)
        for k, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = upsample2x(before(x, styles[2 * k], random))
            x = after(torch.cat([x, skips.pop()], dim=1), styles[2 * k + 1], random)
        intensities = condition[:, condition.shape[1] - self.intensity_planes :].to(x.dtype)
        image: torch.Tensor = self.to_image(torch.cat([x, intensities], dim=1))
        if self.blur is not None:
            image = image + self.blur(intensities[:, : image.shape[1]])
        return image


def _unit(x: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Normalise features along `dim` to a mean square of 1; by default, those of each pixel (pixel norm)."""
    return x * torch.rsqrt(x.square().mean(dim=dim, keepdim=True) + 1e-8)


def _gaussian_blur(channels: int) -> nn.Conv2d:
    """Return a trainable convolution that starts as a Gaussian blur of each channel by itself."""
    squares = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1) ** 2
    kernel = torch.exp(-(squares[:, None] + squares) / (2 * _BLUR_SIGMA**2))
    blur = nn.Conv2d(channels, channels, 2 * _BLUR_RADIUS + 1, padding=_BLUR_RADIUS, bias=False)
    with torch.no_grad():
        blur.weight.copy_(torch.eye(channels)[:, :, None, None] * kernel / kernel.sum())
    return blur


class LinearAttention(nn.Module):
    """Residual linear attention between all pixels (Shen et al. 2021), in time linear in their number.

    The published one also has a norm before it, depthwise convolutions of keys and values, and a GELU after it.
    """

    def __init__(self, planes: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Conv2d(planes, 3 * heads * dim_head, 1, bias=False)
        self.to_out = nn.Conv2d(heads * dim_head, planes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, _, height, width = x.shape
        queries, keys, values = self.to_qkv(x).reshape(count, 3, self.heads, -1, height * width).unbind(dim=1)
        context = torch.einsum("bhkn,bhvn->bhkv", keys.softmax(dim=-1), values)
        attended = torch.einsum("bhkv,bhkn->bhvn", context, queries.softmax(dim=-2))
        projected: torch.Tensor = self.to_out(attended.reshape(count, -1, height, width))
        return x + projected


class DiscriminatorWithoutNorm(nn.Sequential):
    """PatchGAN with linear attention and no norm: ``(B, planes, H, W)`` to a logit per overlapping 70-pixel patch.

    A norm over a patch divides by its standard deviation, which is nearly 0 in an empty one.
    """

    def __init__(self, planes: int, ndf: int, heads: int, dim_head: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(planes, ndf, 4, 2, 1),
            nn.LeakyReLU(_SLOPE),
            LinearAttention(ndf, heads, dim_head),
        ]
        for k, stride in ((1, 2), (2, 2), (3, 1)):
            convolution = nn.Conv2d(ndf * 2 ** (k - 1), ndf * 2**k, 4, stride, 1)
            nn.init.kaiming_normal_(convolution.weight, a=_SLOPE)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
            layers += [convolution, nn.LeakyReLU(_SLOPE)]
        last = nn.Conv2d(ndf * 8, 1, 4, 1, 1)
        nn.init.normal_(last.weight, std=_DISCRIMINATOR_STD)
        super().__init__(*layers, last)
