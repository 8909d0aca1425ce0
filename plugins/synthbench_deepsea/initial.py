"""Weights that DeepSea starts from: the published code's, or those of this class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from synthbench.errors import PluginError
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_deepsea.network import DeepSeaNet, from_published_names, layout, widths_of

__all__ = ["adapt_channels", "load_into", "read_file"]

_FIRST = ("down1.first.weight", "down1.shortcut.weight")
"""The kernels that see the image."""


def read_file(file: Path, widths: tuple[int, int, int] | None) -> dict[str, torch.Tensor]:
    """Return the weights in a file, with this network's names; for grey or for RGB images.

    Parameters
    ----------
    file
        A state dict with the names of `DeepSeaNet` or of the published code.
    widths
        Those that the network must have; None for any.

    Raises
    ------
    PluginError
        If the file doesn't hold the weights of such a network.
    """
    weights = from_published_names(read_state_dict(file))
    try:
        found, channels = widths_of(weights), weights[_FIRST[0]].shape[1]
    except (KeyError, IndexError):
        raise PluginError(f"{file}: not the weights of DeepSea's network") from None
    if widths is not None and found != widths:
        raise PluginError(f"{file}: its network has the widths {found}, not {widths}; set widths to them")
    with torch.device("meta"):
        expected = layout(DeepSeaNet(channels, found))
    _check_layout(weights, expected, str(file))
    return weights


def load_into(network: DeepSeaNet, weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Give a network weights, of one for grey or for RGB images.

    Raises
    ------
    PluginError
        If they are another network's; `source` is named.
    """
    channels = network.down1.first.in_channels
    fitting = dict(weights)
    for name in _FIRST:
        fitting[name] = adapt_channels(weights[name], channels)
    _check_layout(fitting, layout(network), source)
    network.load_state_dict(fitting)


def adapt_channels(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """Return a kernel for another number of image planes, which gives grey images the same answers in either form."""
    if kernel.shape[1] == channels:
        return kernel
    return kernel.sum(dim=1, keepdim=True) if channels == 1 else kernel.repeat(1, channels, 1, 1) / channels


def _check_layout(weights: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise `PluginError` unless the weights have these names and shapes."""
    if odd := sorted(weights.keys() ^ expected.keys()):
        raise PluginError(f"{source}: not the weights of DeepSea: {odd[0]!r} is missing or too many")
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise PluginError(f"{source}: {name} has the shape {tuple(weights[name].shape)}, not {shape}")
