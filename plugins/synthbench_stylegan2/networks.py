"""The drawing network: StyleGAN2 whose skip path carries features, of which the last become image and mask."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.upsampling import upsample2x
from synthbench_stylegan2.layers import AFTER_RELU, Conv, Layer, Linear, Modulated, Noise, relu

FIRST = 4
"""Side of the first planes."""
MAPPING_RATE = 0.01


def widths(side: int, channels: int, base: int) -> list[int]:
    """Return the channels of the resolutions 4, 8 … side: at most `channels`, at high resolutions ``base / side``."""
    return [min(channels, max(4, base // (FIRST * 2**k))) for k in range((side // FIRST).bit_length())]


def merged_widths(count: int, channels: int) -> list[int]:
    """Return the channels of the skip path by resolution: for 512 channels, 512, 384, 256, 192, 128 and so on."""
    return [max(4, channels * (4 - k % 2) // (4 * 2 ** (k // 2))) for k in range(count)]


class Mapping(nn.Module):
    """From z and a class to the style w.

    Parameters
    ----------
    latent
        Length of z and of w.
    classes
        0 for none.
    layers
        The paper has 2 for LIVECell, 4 for TissueNet.
    """

    def __init__(self, latent: int, classes: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, latent) if classes else None
        first = 2 * latent if classes else latent
        self.layers = nn.ModuleList(
            Linear(latent if k else first, latent, gain=AFTER_RELU, rate=MAPPING_RATE) for k in range(layers)
        )

    def forward(self, z: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return w, ``(B, latent)``, for z, ``(B, latent)``, and classes, ``(B,)`` int64, unused if there are none."""
        x = unit(z)
        if self.embed is not None:
            x = torch.cat([x, unit(self.embed(classes))], dim=1)
        for layer in self.layers:
            x = relu(layer(x))
        return x


def unit(x: torch.Tensor) -> torch.Tensor:
    """Return vectors ``(B, n)`` of mean square 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class Synthesis(nn.Module):
    """From styles to image and mask.

    A modulated 1×1 convolution takes a quarter of the features of a resolution, they are doubled in size and joined
    with the features of the next block, and a convolution merges them: of 512 channels 128, which with the next 512
    become 384, then 256 and so on. At the last resolution image and mask each have a head, a layer and a modulated 1×1
    convolution (this project's choice; the paper doesn't say how they part). The mask's has no noise, which the image
    would know nothing of.

    Parameters
    ----------
    side
        Of the images: `fold` times 8, 16, 32 …
    fold
        The last block has planes this many times smaller than the image: its features are enlarged in the heads. That
        saves the highest resolutions, the dearest ones (this project's choice for short trainings; the paper's is 1).
    channels, base
        See `widths`.
    style
        Length of w.
    image, mask
        Planes of each; no planes of the mask, and there is no head for it.
    classes
        Whether mask planes are classes, of which a pixel has one: they are drawn as 2·softmax − 1. Other mask planes
        are drawn as tanh, the image as it comes.

    Attributes
    ----------
    styles : int
        How many w an image takes.
    """

    def __init__(
        self, side: int, fold: int, channels: int, base: int, style: int, image: int, mask: int, *, classes: bool
    ) -> None:
        super().__init__()
        wide = widths(side // fold, channels, base)
        merged = merged_widths(len(wide), wide[0])
        self.start = nn.Parameter(torch.randn(1, wide[0], FIRST, FIRST))
        self.first = Layer(wide[0], wide[0], style)
        self.blocks = nn.ModuleList(Block(a, b, style) for a, b in pairwise(wide))
        self.take = nn.ModuleList(Modulated(m, max(1, m // 4), 1, style, demodulate=False) for m in merged[:-1])
        self.merge = nn.ModuleList(
            Conv(max(1, before // 4) + own, after, 1, gain=AFTER_RELU)
            for before, own, after in zip(merged[:-1], wide[1:], merged[1:], strict=True)
        )
        self.image_head = Head(merged[-1], image, style, fold, noisy=True)
        self.mask_head = Head(merged[-1], mask, style, fold, noisy=False) if mask else None
        self.classes = classes
        self.styles = 2 * len(wide)

    def forward(self, styles: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return planes, ``(B, image + mask, side, side)``, about −1 … 1.

        Parameters
        ----------
        styles
            ``(B, self.styles, style)``.
        random
            Draws the noise of the layers; on any device.
        """
        w = styles.unbind(dim=1)
        x = merged = self.first(self.start.expand(len(styles), -1, -1, -1), w[0], random)
        for k, (block, take, merge) in enumerate(zip(self.blocks, self.take, self.merge, strict=True), 1):
            part = upsample2x(take(merged, w[2 * k - 1]))
            x = block(x, w[2 * k - 1], w[2 * k], random)
            merged = relu(merge(torch.cat([part, x], dim=1)))
        image = self.image_head(merged, w[-1], random)
        if self.mask_head is None:
            return image
        mask = self.mask_head(merged, w[-1], random)
        mask = 2 * F.softmax(mask, dim=1) - 1 if self.classes else torch.tanh(mask)
        return torch.cat([image, mask], dim=1)


class Block(nn.Module):
    """Two layers, the first of which doubles the resolution."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.first = Layer(inputs, outputs, style, up=True)
        self.second = Layer(outputs, outputs, style)

    def forward(self, x: torch.Tensor, w: torch.Tensor, then: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, inputs, H, W)``, with the styles of both layers, to ``(B, outputs, 2H, 2W)``."""
        return self.second(self.first(x, w, random), then, random)


class Head(nn.Module):
    """Features to planes: a layer, and a modulated convolution at `fold` times the size.

    Enlarged features are mixed pixel by pixel, and noise is added before the activation, which lets it through in some
    places and not in others, as the grain of cells differs from that around them.

    Parameters
    ----------
    features, planes, style
    fold
        See `Synthesis`.
    noisy
        Whether noise is added, at all points and at all pixels.
    """

    def __init__(self, features: int, planes: int, style: int, fold: int, *, noisy: bool) -> None:
        super().__init__()
        self.fold = fold
        narrow = features if fold == 1 else max(8, features // 2)
        self.hidden = Layer(features, narrow, style, noisy=noisy)
        self.out = Modulated(narrow, planes, 1 if fold == 1 else 3, style, demodulate=False, framed=fold > 1)
        if fold > 1:
            self.fine = Conv(narrow, narrow, 1, gain=AFTER_RELU)
            self.grain = Noise() if noisy else None

    def forward(self, x: torch.Tensor, w: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Map ``(B, features, H, W)`` to ``(B, planes, fold · H, fold · W)``, float32."""
        x = self.hidden(x, w, random)
        if self.fold > 1:
            for _ in range(self.fold.bit_length() - 1):
                x = upsample2x(x)
            x = self.fine(x)
            x = relu(x if self.grain is None else self.grain(x, random))
        return self.out(x, w).float()


class Drawer(nn.Module):
    """Mapping and synthesis together: what is averaged, saved and drawn from."""

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__()
        self.mapping = mapping
        self.synthesis = synthesis

    def styles(
        self, z: torch.Tensor, classes: torch.Tensor, second: torch.Tensor | None = None, crossing: int = 0
    ) -> torch.Tensor:
        """Return the styles of all layers, ``(B, styles, latent)``.

        Parameters
        ----------
        z, classes
            See `Mapping`.
        second
            z of the layers from number `crossing` on: style mixing.
        crossing
        """
        w = self.mapping(z, classes)[:, None].expand(-1, self.synthesis.styles, -1)
        if second is None:
            return w
        other = self.mapping(second, classes)[:, None].expand(-1, self.synthesis.styles - crossing, -1)
        return torch.cat([w[:, :crossing], other], dim=1)

    def forward(self, z: torch.Tensor, classes: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return planes for z and classes; see `Mapping` and `Synthesis`."""
        return self.synthesis(self.styles(z, classes), random)
