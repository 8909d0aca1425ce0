"""The networks of the published code: StyleUNet from mask to image, U-Net from image to mask, two PatchGANs.

StyleUNet is a U-Net whose decoder is StyleGAN2's: convolutions modulated by a style, with noise added after each
(Karras et al. 2020, section 2.2). The discriminators see the whole patch through one layer of linear attention (Shen et
al. 2021).
"""

from __future__ import annotations

import itertools
import math

import torch
from monai.networks.nets.basic_unet import BasicUNet
from torch import nn
from torch.nn import functional

from synthbench_cganseg.layers import MAPPING_LAYERS, STYLE_DIM, StyledNetwork, pad_to_multiple

__all__ = ["Discriminator", "SegmentationUNet", "StyleUNet"]

_LR_MULTIPLIER = 0.1
_SLOPE = 0.2
_MAX_WIDTH = 8


class StyleUNet(StyledNetwork):
    """The published generator: a U-Net with a modulated decoder.

    Parameters
    ----------
    inputs
        Planes of the condition.
    channels
        Planes of the image, 1 or 3.
    filters
        Planes at full resolution; they double with each halving.
    depth
        How often the resolution is halved; 4 in the paper.
    style
        False: a plain U-Net, whose image is a function of the condition alone.
    """

    def __init__(self, inputs: int, channels: int, filters: int, depth: int, style: bool) -> None:
        super().__init__()
        self.multiple = 2**depth
        self.styles = depth
        widths = [filters * 2**k for k in range(depth + 1)]
        self.mapping = Mapping() if style else None
        self.encoder = nn.ModuleList(DoubleConvolution(a, b) for a, b in itertools.pairwise([inputs, *widths]))
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for wide, narrow in itertools.pairwise(reversed(widths)):
            self.up.append(nn.ConvTranspose2d(wide, narrow, 2, 2))
            block = ModulatedDoubleConvolution if style else DoubleConvolution
            self.decoder.append(block(2 * narrow, narrow))
        self.to_image = nn.Conv2d(filters, channels, 1)
        self.apply(_initialise)

    def draw(self, condition: torch.Tensor, noise: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        x = condition
        size = (len(x), 1, *x.shape[2:])
        added = torch.rand(size, generator=random, device=random.device).to(x)
        skips: list[torch.Tensor] = []
        for block in self.encoder:
            x = block(functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        styles = None if self.mapping is None else self.mapping(noise)
        for k, (up, block) in enumerate(zip(self.up, self.decoder, strict=True)):
            x = torch.cat([up(x), skips.pop()], dim=1)
            x = block(x) if styles is None else block(x, styles[:, k], added[..., : x.shape[2], : x.shape[3]])
        image: torch.Tensor = self.to_image(x)
        return image


class DoubleConvolution(nn.Sequential):
    """3×3 convolution, batch norm, LeakyReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(),
        )


class ModulatedDoubleConvolution(nn.Module):
    """Modulated convolution, noise, LeakyReLU, twice; both with the same style and noise."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ModulatedConvolution(inputs, outputs)
        self.second = ModulatedConvolution(outputs, outputs)

    def forward(self, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        x = self.first(x, style, noise)
        modulated: torch.Tensor = self.second(x, style, noise)
        return modulated


class ModulatedConvolution(nn.Module):
    """Modulated and demodulated 3×3 convolution (Karras et al. 2020, equations 1 to 3), noise, LeakyReLU.

    The planes are scaled instead of the weights, which gives the same result without a convolution per sample.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.kaiming_normal_(self.weight, a=0, mode="fan_in", nonlinearity="leaky_relu")
        self.to_style = nn.Linear(STYLE_DIM, inputs)
        self.to_noise = nn.Linear(1, outputs)

    def forward(self, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Map ``(B, inputs, H, W)`` by styles ``(B, STYLE_DIM)`` and noise ``(B, 1, H, W)``."""
        scales = self.to_style(style).float() + 1
        squares = scales.square() @ self.weight.float().square().sum(dim=(2, 3)).T
        x = functional.conv2d(x * scales[:, :, None, None].to(x.dtype), self.weight, padding=1)
        x = x * torch.rsqrt(squares + 1e-8)[:, :, None, None].to(x.dtype)
        added = self.to_noise(noise.movedim(1, -1)).movedim(-1, 1)
        return functional.leaky_relu(x + added, _SLOPE)


class Mapping(nn.Module):
    """Noise ``(…, STYLE_DIM)``, normalised to unit length, to a style of the same shape.

    Weights are multiplied by 0.1 where they are used, so that they learn a tenth as fast (Karras et al. 2019).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.randn(STYLE_DIM, STYLE_DIM) for _ in range(MAPPING_LAYERS))
        self.biases = nn.ParameterList(torch.zeros(STYLE_DIM) for _ in range(MAPPING_LAYERS))

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        x = functional.normalize(noise, dim=-1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = functional.leaky_relu(functional.linear(x, _LR_MULTIPLIER * weight, _LR_MULTIPLIER * bias), _SLOPE)
        return x


class SegmentationUNet(nn.Module):
    """Image to the logits of a mask's planes, at any size: MONAI's BasicUNet with batch norm.

    Parameters
    ----------
    channels, masks
        Planes of the image and of the mask.
    filters
        Planes at full and at half resolution; then they double.
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
        logits: torch.Tensor = self.network(pad_to_multiple(image, self.MULTIPLE))[..., :height, :width]
        return logits


class LinearAttention(nn.Module):
    """Residual linear attention between all pixels, with a norm before it and depthwise keys and values.

    Parameters
    ----------
    planes
    heads, dim_head
        8 heads of 64 planes in the paper.
    """

    def __init__(self, planes: int, heads: int, dim_head: int) -> None:
        super().__init__()
        inner = heads * dim_head
        self.heads = heads
        self.scale = 1 / math.sqrt(dim_head)
        self.gain = nn.Parameter(torch.ones(1, planes, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, planes, 1, 1))
        self.to_q = nn.Conv2d(planes, inner, 1, bias=False)
        self.to_kv = nn.Sequential(
            nn.Conv2d(planes, planes, 3, padding=1, groups=planes, bias=False),
            nn.Conv2d(planes, 2 * inner, 1, bias=False),
        )
        self.to_out = nn.Conv2d(inner, planes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, _, height, width = x.shape
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        normalised = (x - mean) * torch.rsqrt(variance + 1e-5) * self.gain + self.bias
        queries = self.to_q(normalised).reshape(count, self.heads, -1, height * width)
        keys, values = self.to_kv(normalised).reshape(count, 2, self.heads, -1, height * width).unbind(dim=1)
        context = torch.einsum("bhkn,bhvn->bhkv", keys.softmax(dim=-1), values)
        attended = torch.einsum("bhkv,bhkn->bhvn", context, self.scale * queries.softmax(dim=-2))
        projected: torch.Tensor = self.to_out(functional.gelu(attended).reshape(count, -1, height, width))
        return x + projected


class Discriminator(nn.Sequential):
    """PatchGAN with batch norm and linear attention: ``(B, planes, H, W)`` to a logit per overlapping 70-pixel patch.

    Parameters
    ----------
    planes
    ndf
        Planes of the first layer; they double with each further one, up to 8 · ndf.
    heads, dim_head
        Of the attention after the first layer.
    """

    def __init__(self, planes: int, ndf: int, heads: int, dim_head: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(planes, ndf, 4, 2, 1),
            nn.LeakyReLU(_SLOPE),
            LinearAttention(ndf, heads, dim_head),
        ]
        for k, stride in ((1, 2), (2, 2), (3, 1)):
            inputs, outputs = (ndf * min(2**exponent, _MAX_WIDTH) for exponent in (k - 1, k))
            layers.append(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(_SLOPE)]
        super().__init__(*layers, nn.Conv2d(8 * ndf, 1, 4, 1, 1))
        self.apply(_initialise)


def _initialise(module: nn.Module) -> None:
    """Initialise as the published code: He for convolutions, Xavier for linear layers, biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
