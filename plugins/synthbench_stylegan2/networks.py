"""The generator network: StyleGAN2 whose skip path carries features, of which the last become image and mask."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.upsampling import upsample2x
from synthbench_stylegan2.layers import (
    LRELU_GAIN,
    EqualisedConv,
    EqualisedLinear,
    ModulatedConv,
    Noise,
    SynthesisLayer,
    lrelu,
)

__all__ = [
    "BASE_SIDE",
    "GeneratorNetwork",
    "MappingNetwork",
    "SynthesisNetwork",
    "channels_by_resolution",
    "skip_channels",
]

BASE_SIDE = 4
"""Side of the learned constant."""
_MAPPING_LR_MULTIPLIER = 0.01


def channels_by_resolution(side: int, channel_max: int, channel_base: int) -> list[int]:
    """Return the channels of the resolutions 4, 8 … side: ``channel_base / resolution``, at most `channel_max`."""
    return [
        min(channel_max, max(4, channel_base // (BASE_SIDE * 2**k))) for k in range((side // BASE_SIDE).bit_length())
    ]


def skip_channels(count: int, channels: int) -> list[int]:
    """Return the channels of the skip path by resolution, such as 512, 384, 256, 192, 128 of 512."""
    return [max(4, channels * (4 - k % 2) // (4 * 2 ** (k // 2))) for k in range(count)]


class MappingNetwork(nn.Module):
    """Maps z and a class to w.

    Parameters
    ----------
    z_dim, w_dim
    classes
        Number of classes; 0 for none.
    layers
    """

    def __init__(self, z_dim: int, w_dim: int, classes: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, w_dim) if classes else None
        inputs = z_dim + w_dim if classes else z_dim
        self.layers = nn.ModuleList(
            EqualisedLinear(w_dim if k else inputs, w_dim, gain=LRELU_GAIN, lr_multiplier=_MAPPING_LR_MULTIPLIER)
            for k in range(layers)
        )

    def forward(self, z: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return w, ``(B, w_dim)``, for z, ``(B, z_dim)``, and classes, ``(B,)`` int64, unused if there are none."""
        x = normalise_2nd_moment(z)
        if self.embed is not None:
            x = torch.cat([x, normalise_2nd_moment(self.embed(classes))], dim=1)
        for layer in self.layers:
            x = lrelu(layer(x))
        return x


def normalise_2nd_moment(x: torch.Tensor) -> torch.Tensor:
    """Return vectors ``(B, n)`` scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class SynthesisNetwork(nn.Module):
    """Maps styles to the planes of image and mask.

    A modulated 1×1 convolution reduces the features of a resolution to a quarter of the channels; they are upsampled,
    concatenated with the features of the next block, and merged by a 1×1 convolution: of 512 channels 128, which with
    the next 512 become 384, then 256 and so on. At the last resolution, image and mask each have a head (the paper
    doesn't say how they part). The head of the mask has no noise, since the image couldn't follow it.

    Parameters
    ----------
    side
        Of the images: `factor` times 8, 16, 32 …
    factor
        How many times smaller than the image the last block's planes are; the heads upsample them.
    channel_max, channel_base
        See `channels_by_resolution`.
    w_dim
    image_planes, mask_planes
        Planes to draw; with 0 planes of the mask there is no head for it.
    classes
        Whether the mask planes are classes: they are drawn as 2·softmax − 1. Other mask planes are drawn as tanh, the
        image as it is.
    filtered
        See `synthbench_stylegan2.layers.SynthesisLayer`.

    Attributes
    ----------
    num_ws : int
        Number of w of an image.
    """

    def __init__(
        self,
        side: int,
        factor: int,
        channel_max: int,
        channel_base: int,
        w_dim: int,
        image_planes: int,
        mask_planes: int,
        *,
        classes: bool,
        filtered: bool = False,
    ) -> None:
        super().__init__()
        channels = channels_by_resolution(side // factor, channel_max, channel_base)
        skips = skip_channels(len(channels), channels[0])
        self.const = nn.Parameter(torch.randn(1, channels[0], BASE_SIDE, BASE_SIDE))
        self.first = SynthesisLayer(channels[0], channels[0], w_dim)
        self.blocks = nn.ModuleList(SynthesisBlock(a, b, w_dim, filtered=filtered) for a, b in pairwise(channels))
        self.to_skip = nn.ModuleList(ModulatedConv(n, max(1, n // 4), 1, w_dim, demodulate=False) for n in skips[:-1])
        self.merge = nn.ModuleList(
            EqualisedConv(max(1, before // 4) + features, after, 1, gain=LRELU_GAIN)
            for before, features, after in zip(skips[:-1], channels[1:], skips[1:], strict=True)
        )
        self.image_head = OutputHead(skips[-1], image_planes, w_dim, factor, noisy=True)
        self.mask_head = OutputHead(skips[-1], mask_planes, w_dim, factor, noisy=False) if mask_planes else None
        self.classes = classes
        self.num_ws = 2 * len(channels)

    def forward(self, ws: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return planes, ``(B, image_planes + mask_planes, side, side)``, about −1 … 1.

        Parameters
        ----------
        ws
            ``(B, num_ws, w_dim)``.
        random
            Draws the noise of the layers; on any device.
        """
        w = ws.unbind(dim=1)
        x = skip = self.first(self.const.expand(len(ws), -1, -1, -1), w[0], random)
        for k, (block, to_skip, merge) in enumerate(zip(self.blocks, self.to_skip, self.merge, strict=True), 1):
            reduced = upsample2x(to_skip(skip, w[2 * k - 1]))
            x = block(x, w[2 * k - 1], w[2 * k], random)
            skip = lrelu(merge(torch.cat([reduced, x], dim=1)))
        image: torch.Tensor = self.image_head(skip, w[-1], random)
        if self.mask_head is None:
            return image
        mask = self.mask_head(skip, w[-1], random)
        mask = 2 * F.softmax(mask, dim=1) - 1 if self.classes else torch.tanh(mask)
        return torch.cat([image, mask], dim=1)


class SynthesisBlock(nn.Module):
    """Two layers, the first of which doubles the resolution."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, *, filtered: bool) -> None:
        super().__init__()
        self.first = SynthesisLayer(inputs, outputs, w_dim, up=True, filtered=filtered)
        self.second = SynthesisLayer(outputs, outputs, w_dim)

    def forward(self, x: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)``, with the w of both layers, to ``(B, outputs, 2H, 2W)``."""
        features: torch.Tensor = self.second(self.first(x, w1, random), w2, random)
        return features


class OutputHead(nn.Module):
    """Maps features to planes: a layer, and a modulated convolution at `factor` times the size.

    Upsampled features are mixed pixel by pixel, and noise is added before the activation, so that its strength in the
    image can differ between cells and background.

    Parameters
    ----------
    features, planes, w_dim
    factor
        See `SynthesisNetwork`.
    noisy
        Whether noise is added, at both resolutions.
    """

    def __init__(self, features: int, planes: int, w_dim: int, factor: int, *, noisy: bool) -> None:
        super().__init__()
        self.factor = factor
        hidden = features if factor == 1 else max(8, features // 2)
        self.hidden = SynthesisLayer(features, hidden, w_dim, noisy=noisy)
        self.out = ModulatedConv(hidden, planes, 1 if factor == 1 else 3, w_dim, demodulate=False, replicate=factor > 1)
        if factor > 1:
            self.fine = EqualisedConv(hidden, hidden, 1, gain=LRELU_GAIN)
            self.fine_noise = Noise() if noisy else None

    def forward(self, x: torch.Tensor, w: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, features, H, W)`` to ``(B, planes, factor · H, factor · W)``, float32."""
        x = self.hidden(x, w, random)
        if self.factor > 1:
            for _ in range(self.factor.bit_length() - 1):
                x = upsample2x(x)
            x = self.fine(x)
            x = lrelu(x if self.fine_noise is None else self.fine_noise(x, random))
        planes: torch.Tensor = self.out(x, w).float()
        return planes


class GeneratorNetwork(nn.Module):
    """Mapping and synthesis network: what is averaged, saved and sampled from."""

    def __init__(self, mapping: MappingNetwork, synthesis: SynthesisNetwork) -> None:
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis

    def styles(
        self, z: torch.Tensor, classes: torch.Tensor, second: torch.Tensor | None = None, cutoff: int = 0
    ) -> torch.Tensor:
        """Return the w of all layers, ``(B, num_ws, w_dim)``.

        Parameters
        ----------
        z, classes
            See `MappingNetwork`.
        second
            z of the layers from number `cutoff` on, for style mixing.
        cutoff
        """
        w: torch.Tensor = self.mapping(z, classes)[:, None].expand(-1, self.synthesis.num_ws, -1)
        if second is None:
            return w
        w2 = self.mapping(second, classes)[:, None].expand(-1, self.synthesis.num_ws - cutoff, -1)
        return torch.cat([w[:, :cutoff], w2], dim=1)

    def forward(self, z: torch.Tensor, classes: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return planes for z and classes; see `MappingNetwork` and `SynthesisNetwork`."""
        planes: torch.Tensor = self.synthesis(self.styles(z, classes), random)
        return planes
