"""The two networks of the cycle: StyleUNet draws an image to a mask, a plain U-Net draws a mask to an image.

StyleUNet is a U-Net whose decoder is StyleGAN2's: convolutions modulated by a style, with noise after each
(cGAN-Seg, "StyleUNet generator"; Karras et al. 2020, section 2.2).
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Literal

import torch
from monai.networks.nets import BasicUNet
from torch import nn
from torch.nn import functional

from synthbench.toolkit.layers.upsampling import upsample2x

Norm = Literal["batch", "pixel"]

STYLE = 128
"""Length of a style and of the noise it comes from."""

MAPPING = 3
"""Layers between the two."""

_GAIN = math.sqrt(2.0)
_SLOPE = 0.2
_FAINT = 0.1
_NOISE = 0.3
_BLUR, _REACH = 1.5, 3


class Plain(nn.Module):
    """3×3 convolution and LeakyReLU, with batch norm between them or pixel norm after.

    It takes a style like `Modulated`, and leaves it aside.
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


class Modulated(nn.Module):
    """3×3 convolution modulated by a style and demodulated, noise, LeakyReLU (Karras et al. 2020, equations 1 to 3).

    The planes are scaled instead of the weights, which comes to the same and needs no convolution per sample. Then
    pixel norm, if it is wanted. The noise begins at a strength of 0.3, where StyleGAN2's begins at 0 (this project's
    choice).
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.scales = nn.Linear(STYLE, inputs)
        nn.init.normal_(self.scales.weight, std=1 / math.sqrt(STYLE))
        nn.init.ones_(self.scales.bias)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(9 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise = nn.Parameter(torch.full((outputs,), _NOISE))

    def forward(self, x: torch.Tensor, style: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` by styles ``(B, STYLE)``; the noise is drawn on the device of `random`."""
        scales = self.scales(style).float()
        lengths = scales.square() @ self.weight.float().square().sum(dim=(2, 3)).T
        x = functional.conv2d(x * scales[:, :, None, None].to(x.dtype), self.weight, padding=1)
        grain = torch.randn((len(x), 1, *x.shape[2:]), generator=random, device=random.device).to(x)
        added = torch.addcmul(self.bias[:, None, None], self.noise[:, None, None], grain).to(x.dtype)
        x = torch.addcmul(added, x, torch.rsqrt(lengths + 1e-8)[:, :, None, None].to(x.dtype))
        x = functional.leaky_relu(x, _SLOPE)
        return _unit(x) if self.norm == "pixel" else x * _GAIN


class Mapping(nn.Module):
    """Noise ``(…, STYLE)``, brought to unit variance, to a style of the same shape.

    Styles begin small, a twentieth of the noise, and a short training leaves them so: its images hardly differ by
    style. Begun at unit variance, they were further from real nuclei after 1,000 steps (kernel distance 839 thousand
    against 388, on SqueezeNet; one seed each).
    """

    def __init__(self) -> None:
        super().__init__()
        layers = [(nn.Linear(STYLE, STYLE), nn.LeakyReLU(0.2)) for _ in range(MAPPING)]
        self.layers = nn.Sequential(*itertools.chain.from_iterable(layers))

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        styles: torch.Tensor = self.layers(_unit(noise, -1))
        return styles


class StyleUNet(nn.Module):
    """Mask to image, at any size: continued to the next multiple of 2^depth, and cut back.

    In each decoder one convolution works before the enlargement and one after the skip is joined (this project's
    choice).

    The first images are almost grey, but for the objects' light where it is told, blurred, which is added to what the
    network draws (this project's choice, too). A training whose first objects happened to be darker than their
    background, where real ones are brighter, stayed there: the segmenter learns to find such objects, and its cycle
    keeps the generator from drawing others, because between the two lie objects that can't be seen.

    Parameters
    ----------
    inputs
        Planes of the mask, and of what is told beside it.
    channels
        Planes of the image, 1 or 3.
    filters
        Planes at full resolution; they double at each halving.
    depth
        How often the resolution is halved; the paper has 4.
    style
        Without it the decoder is like the encoder, and the image a function of the mask alone.
    norm
        ``batch``, of all convolutions that aren't modulated; or ``pixel``, of all (Karras et al. 2018, section 4.2).
    told
        How many of the inputs, the last ones, the last convolution sees too.
    object_planes
        How many of these, the first ones, are the light of single objects: that of each channel, then others.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        filters: int,
        depth: int,
        style: bool,
        norm: Norm = "batch",
        told: int = 0,
        object_planes: int = 0,
    ) -> None:
        super().__init__()
        self.told = told
        self.multiple = 2**depth
        self.convolutions = 2 * depth
        widths = [filters * 2**k for k in range(depth + 1)]
        block = functools.partial(Modulated if style else Plain, norm=norm)
        self.mapping = Mapping() if style else None
        self.encoders = nn.ModuleList(
            nn.Sequential(Plain(a, b, norm), Plain(b, b, norm)) for a, b in itertools.pairwise([inputs, *widths])
        )
        pairs = list(itertools.pairwise(reversed(widths)))
        self.before = nn.ModuleList(block(a, b) for a, b in pairs)
        self.after = nn.ModuleList(block(2 * b, b) for _, b in pairs)
        self.to_image = nn.Conv2d(filters + told, channels, 1)
        nn.init.normal_(self.to_image.weight, std=_FAINT / math.sqrt(filters + told))
        nn.init.zeros_(self.to_image.bias)
        self.light = _blurring(channels) if object_planes else None

    def forward(self, mask: torch.Tensor, noise: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return images ``(B, channels, H, W)`` of about −1 … 1.

        Without a bound, as in StyleGAN2: mostly dark images drive a hyperbolic tangent to where it has no gradient.

        Parameters
        ----------
        mask
            ``(B, inputs, H, W)``; the planes of the mask −1 … 1.
        noise
            ``(B, convolutions, STYLE)``: what the style of each decoder convolution comes from.
        random
            The noise of the single pixels is drawn from it.
        """
        height, width = mask.shape[-2:]
        seen = continued(mask, self.multiple)
        x = self.encoders[0](seen)
        skips = []
        for encoder in self.encoders[1:]:
            skips.append(x)
            x = encoder(functional.max_pool2d(x, 2))
        styles = [None] * self.convolutions if self.mapping is None else self.mapping(noise).unbind(dim=1)
        for k, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = upsample2x(before(x, styles[2 * k], random))
            x = after(torch.cat([x, skips.pop()], dim=1), styles[2 * k + 1], random)
        told = seen[:, seen.shape[1] - self.told :].to(x.dtype)
        image: torch.Tensor = self.to_image(torch.cat([x, told], dim=1))
        if self.light is not None:
            image = image + self.light(told[:, : image.shape[1]])
        return image[..., :height, :width]


class Segmenter(nn.Module):
    """Image to the logits of a mask's planes, at any size: MONAI's BasicUNet with batch norm.

    Parameters
    ----------
    channels
    masks
        Planes of the mask.
    filters
        Planes at full and half resolution; then they double.
    """

    MULTIPLE = 16

    def __init__(self, channels: int, masks: int, filters: int) -> None:
        super().__init__()
        features = (filters, filters, 2 * filters, 4 * filters, 8 * filters, filters)
        act = ("LeakyReLU", {"negative_slope": 0.1, "inplace": True})
        self.network = BasicUNet(2, channels, masks, features, act=act, norm="batch")

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, masks, H, W)``."""
        height, width = image.shape[-2:]
        logits: torch.Tensor = self.network(continued(image, self.MULTIPLE))[..., :height, :width]
        return logits


def mixed_noise(count: int, convolutions: int, share: float, random: torch.Generator) -> torch.Tensor:
    """Return the noise of styles, ``(count, convolutions, STYLE)``, with style mixing (Karras et al. 2019, 3.1).

    Parameters
    ----------
    share
        Chance that a sample's convolutions from a random one on have another style than those before.
    """
    on = random.device
    two = torch.randn((2, count, 1, STYLE), generator=random, device=on)
    cut = torch.randint(1, convolutions, (count, 1), generator=random, device=on)
    mixed = torch.rand((count, 1), generator=random, device=on) < share
    second = mixed & (torch.arange(convolutions, device=on) >= cut)
    return torch.where(second[:, :, None], two[1], two[0])


def _unit(x: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Bring the features along `dim`, those of each pixel by default, to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=dim, keepdim=True) + 1e-8)


def _blurring(channels: int) -> nn.Conv2d:
    """Return a convolution that begins as a Gaussian blur of each channel by itself."""
    squares = torch.arange(-_REACH, _REACH + 1) ** 2
    kernel = torch.exp(-(squares[:, None] + squares) / (2 * _BLUR**2))
    blur = nn.Conv2d(channels, channels, 2 * _REACH + 1, padding=_REACH, bias=False)
    with torch.no_grad():
        blur.weight.copy_(torch.eye(channels)[:, :, None, None] * kernel / kernel.sum())
    return blur


def continued(planes: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last rows and columns up to the next multiple."""
    below, right = (-side % multiple for side in planes.shape[-2:])
    return functional.pad(planes, (0, right, 0, below), mode="replicate") if below or right else planes
