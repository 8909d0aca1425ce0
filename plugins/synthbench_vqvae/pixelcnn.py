"""The prior over maps of codes: a gated PixelCNN (van den Oord et al. 2016, arXiv 1606.05328), and its sampling.

A code depends on those above it (vertical stack) and on those to its left in its own row (horizontal stack). Both
inputs are shifted by one at the beginning, so that all later convolutions may include their own position.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.nn import functional as F

from synthbench.types import FloatArray, IntArray

__all__ = ["PixelCNN", "Sampler", "categorical"]


def gate(planes: torch.Tensor) -> torch.Tensor:
    """Return ``tanh(a) · sigmoid(b)`` of the two halves of the channels (eq. 2)."""
    a, b = planes.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks (fig. 2): the vertical one feeds the horizontal one, which has the residual."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.down = nn.Conv2d(channels, 2 * channels, (self.reach + 1, kernel))
        self.right = nn.Conv2d(channels, 2 * channels, (1, self.reach + 1))
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, above: torch.Tensor, left: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ``(B, channels, H, W)`` of the vertical and the horizontal stack one layer further."""
        reach = self.reach
        vertical = self.down(F.pad(above, (reach, reach, reach, 0)))
        horizontal = self.right(F.pad(left, (reach, 0))) + self.across(vertical)
        return gate(vertical), left + self.out(gate(horizontal))


class PixelCNN(nn.Module):
    """Predicts each code from the codes before it in raster order.

    Parameters
    ----------
    num_embeddings
        Number of codes.
    channels, layers
        Of the two stacks.
    kernel
        Odd; a layer reaches ``kernel // 2`` positions.
    """

    def __init__(self, num_embeddings: int, channels: int, layers: int, kernel: int = 5) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_embeddings, channels)
        self.layers = nn.ModuleList(GatedLayer(channels, kernel) for _ in range(layers))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, 2 * channels, 1), nn.ReLU(), nn.Conv2d(2 * channels, num_embeddings, 1)
        )

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits, ``(B, num_embeddings, H, W)``, for maps of codes ``(B, H, W)`` int64."""
        planes = self.embed(codes).permute(0, 3, 1, 2)
        above = F.pad(planes, (0, 0, 1, 0))[:, :, :-1]
        left = F.pad(planes, (1, 0))[..., :-1]
        for layer in self.layers:
            above, left = layer(above, left)
        logits: torch.Tensor = self.head(left)
        return logits


class Sampler:
    """Draws maps of codes from a `PixelCNN` in raster order, with cached activations.

    Each layer keeps its last rows of the vertical stack and its last positions of the horizontal one, so a code costs
    a few small matrix products instead of a pass over the map. It runs on the CPU in NumPy, so that samples don't
    depend on the device.
    """

    def __init__(self, network: PixelCNN) -> None:
        self.embed = _array(network.embed.weight)
        self.layers = [_LayerMatrices(layer) for layer in network.layers if isinstance(layer, GatedLayer)]
        self.head = [_matrix(layer) for layer in network.head if isinstance(layer, nn.Conv2d)]

    def sample(self, height: int, width: int, pick: Callable[[FloatArray], int]) -> IntArray:
        """Draw a map of codes, ``(height, width)`` int64; `pick` draws a code from logits ``(num_embeddings,)``."""
        codes = np.zeros((height, width), np.int64)
        channels = self.embed.shape[1]
        cache = [np.zeros((layer.reach + 1, width + 2 * layer.reach, channels), np.float32) for layer in self.layers]
        for y in range(height):
            above = self.embed[codes[y - 1]] if y else np.zeros((width, channels), np.float32)
            to_right = []
            for layer, rows in zip(self.layers, cache, strict=True):
                rows[:-1] = rows[1:]
                rows[-1, layer.reach : layer.reach + width] = above
                windows = sliding_window_view(rows, 2 * layer.reach + 1, axis=1).transpose(1, 2, 0, 3)
                vertical = _apply(layer.down, windows.reshape(width, -1))
                to_right.append(_apply(layer.across, vertical))
                above = _gated(vertical)
            self._fill_row(codes[y], to_right, pick)
        return codes

    def _fill_row(self, row: IntArray, to_right: list[FloatArray], pick: Callable[[FloatArray], int]) -> None:
        """Fill a row of codes, ``(width,)``, from left to right."""
        channels = self.embed.shape[1]
        cache = [np.zeros((layer.reach + 1, channels), np.float32) for layer in self.layers]
        for x in range(len(row)):
            left = self.embed[row[x - 1]] if x else np.zeros(channels, np.float32)
            for layer, places, across in zip(self.layers, cache, to_right, strict=True):
                places[:-1] = places[1:]
                places[-1] = left
                left = left + _apply(layer.out, _gated(_apply(layer.right, places.T.ravel()) + across[x]))
            hidden = np.maximum(_apply(self.head[0], np.maximum(left, 0)), 0)
            row[x] = pick(_apply(self.head[1], hidden))


def categorical(logits: FloatArray, temperature: float, rng: np.random.Generator) -> int:
    """Draw an index from logits, ``(n,)`` float, that are divided by the temperature."""
    scaled = logits.astype(np.float64) / temperature
    cumulative = np.exp(scaled - scaled.max()).cumsum()
    return int(min(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"), len(cumulative) - 1))


class _LayerMatrices:
    """The convolutions of a layer as matrices."""

    def __init__(self, layer: GatedLayer) -> None:
        self.reach = layer.reach
        self.down, self.right, self.across, self.out = map(_matrix, (layer.down, layer.right, layer.across, layer.out))


_Matrix = tuple[FloatArray, FloatArray]


def _matrix(conv: nn.Conv2d) -> _Matrix:
    weight, bias = map(_array, conv.parameters())
    return np.ascontiguousarray(weight.reshape(len(weight), -1).T), bias


def _apply(matrix: _Matrix, values: FloatArray) -> FloatArray:
    product: FloatArray = values @ matrix[0] + matrix[1]
    return product


def _gated(values: FloatArray) -> FloatArray:
    a, b = np.split(values, 2, axis=-1)
    gated: FloatArray = np.tanh(a) / (1 + np.exp(-b))
    return gated


def _array(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().float().cpu().numpy()
    return array
