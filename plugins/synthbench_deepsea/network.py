"""DeepSea's network: three levels of residual blocks, and two heads on the last planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["MULTIPLE", "PUBLISHED_WIDTHS", "DeepSeaNet", "ResidualBlock", "from_published_names", "widths_of"]

PUBLISHED_WIDTHS = (64, 128, 256)
"""Planes at the full, half and quarter resolution in the published code."""

MULTIPLE = 4
"""The network halves its input twice."""

CLASSES = 2
"""Of each head: 0 no, 1 yes."""

_PUBLISHED_BLOCKS = {"res1": "down1", "res2": "down2", "res3": "bottom", "res4": "up2", "res5": "up1"}
_PUBLISHED_HEADS = {"conv3": "cells", "conv4": "edges"}
_PUBLISHED_LAYERS = {
    "double_conv.0": "first",
    "double_conv.1": "first_norm",
    "double_conv.4": "second",
    "bn": "norm",
    "conv1d": "shortcut",
}


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions with batch norm, ReLU and dropout between them, plus a 1 × 1 convolution of the input.

    Parameters
    ----------
    inputs, planes
        Numbers of planes.
    dropout
        Probability.
    """

    def __init__(self, inputs: int, planes: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, planes, 3, padding=1)
        self.first_norm = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Conv2d(planes, planes, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, planes, 1)
        self.norm = nn.BatchNorm2d(planes)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return ``(B, planes, H, W)`` of ``(B, inputs, H, W)``."""
        hidden = self.dropout(F.relu(self.first_norm(self.first(planes))))
        answer: torch.Tensor = F.relu(self.norm(self.second(hidden) + self.shortcut(planes)))
        return answer


class DeepSeaNet(nn.Module):
    """The network of DeepSea's segmentation (Zargari et al. 2023); 1,987,844 parameters for grey images.

    Initial weights are torch's, drawn from its global generator.

    Parameters
    ----------
    channels
        Planes of the image, which should be in about −1 … 1.
    widths
        Planes at the full, half and quarter resolution.
    dropout
        Probability of dropout in each block.
    """

    def __init__(self, channels: int, widths: Sequence[int] = PUBLISHED_WIDTHS, dropout: float = 0.2) -> None:
        super().__init__()
        full, half, quarter = widths
        self.down1 = ResidualBlock(channels, full, dropout)
        self.down2 = ResidualBlock(full, half, dropout)
        self.bottom = ResidualBlock(half, quarter, dropout)
        self.up2 = ResidualBlock(half + quarter, half, dropout)
        self.up1 = ResidualBlock(full + half, full, dropout)
        self.cells = nn.Conv2d(full, CLASSES, 1)
        self.edges = nn.Conv2d(full, CLASSES, 1)

    @property
    def encoder(self) -> list[nn.Module]:
        """The blocks down to the lowest level."""
        return [self.down1, self.down2, self.bottom]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of cells and of touching edges, ``(B, 2, H, W)`` each, of images ``(B, C, H, W)``."""
        full = self.down1(images)
        half = self.down2(F.max_pool2d(full, 2))
        quarter = self.bottom(F.max_pool2d(half, 2))
        half = self.up2(_join(half, quarter))
        full = self.up1(_join(full, half))
        return self.cells(full), self.edges(full)


def _join(skip: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Return the planes of a skip connection, and those of the level below at twice the resolution."""
    up = F.interpolate(below, scale_factor=2, mode="bilinear", align_corners=True)
    down, right = (skip.shape[axis] - up.shape[axis] for axis in (-2, -1))
    up = F.pad(up, (right // 2, right - right // 2, down // 2, down - down // 2))
    return torch.cat([skip, up], dim=1)


def from_published_names(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict with the names of `DeepSeaNet`; names of the published code are translated, others kept."""
    return {_translate(name): tensor for name, tensor in tensors.items()}


def _translate(name: str) -> str:
    part, _, rest = name.partition(".")
    layer, _, kind = rest.rpartition(".")
    if part in _PUBLISHED_HEADS:
        return f"{_PUBLISHED_HEADS[part]}.{rest}"
    if part in _PUBLISHED_BLOCKS and layer in _PUBLISHED_LAYERS:
        return f"{_PUBLISHED_BLOCKS[part]}.{_PUBLISHED_LAYERS[layer]}.{kind}"
    return name


def widths_of(weights: Mapping[str, torch.Tensor]) -> tuple[int, int, int]:
    """Return the widths of the network that a state dict belongs to; raise `KeyError` if it is another's."""
    full, half, quarter = (weights[f"{block}.first.weight"].shape[0] for block in ("down1", "down2", "bottom"))
    return full, half, quarter
