"""Initial weights of convolutions, for `torch.nn.Module.apply`; layers with spectral norm are included."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

__all__ = ["initialise_normal", "initialise_xavier"]


def initialise_normal(module: nn.Module, std: float = 0.02) -> None:
    """Set the weights of a convolution to N(0, std²) and its biases to 0; other modules stay as they are."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(_weight(module), 0.0, std)
        _zero_bias(module)


def initialise_xavier(module: nn.Module, gain: float = 0.02) -> None:
    """Set the weights of a convolution as Glorot & Bengio 2010 do, times `gain`, and its biases to 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_normal_(_weight(module), gain)
        _zero_bias(module)


def _weight(module: nn.Conv2d | nn.ConvTranspose2d) -> torch.Tensor:
    """Return what is trained: with a spectral norm, ``module.weight`` is computed from it."""
    if is_parametrized(module, "weight"):
        return cast(torch.Tensor, module.parametrizations.weight.original)  # type: ignore[union-attr]
    return module.weight


def _zero_bias(module: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)
