"""Weights that DeepSea starts from: the published code's, or those of this class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from synthbench.errors import PluginError
from synthbench.samples import MAX_CHANNELS
from synthbench.toolkit.training.initial_weights import check_tensors, initialise_from, repeat_input
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_deepsea.config import MAX_WIDTH
from synthbench_deepsea.network import DeepSeaNet, from_published_names, widths_of

__all__ = ["INPUTS", "Start", "load_into", "read_file"]

INPUTS = ("down1.first.weight", "down1.shortcut.weight")
"""The kernels that see the image."""


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes
    ----------
    source : Path
    weights : mapping
        With the names of `DeepSeaNet`.
    thresholds : mapping
        Those that were chosen for them; empty if there are none.
    """

    source: Path
    weights: Mapping[str, torch.Tensor]
    thresholds: Mapping[str, Any]

    @property
    def channels(self) -> int:
        """Channels of the images that they are of."""
        return int(self.weights[INPUTS[0]].shape[1])


def read_file(file: Path, widths: tuple[int, int, int] | None) -> Start:
    """Return the weights in a file.

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
        found, channels = widths_of(weights), weights[INPUTS[0]].shape[1]
    except (KeyError, IndexError):
        raise PluginError(f"{file}: not the weights of DeepSea's network; give a file of such") from None
    if widths is not None and found != widths:
        raise PluginError(f"{file}: its network has the widths {found}, not {widths}; set widths to them")
    if not 1 <= channels <= MAX_CHANNELS:
        raise PluginError(
            f"{file}: the weights are of images with {channels} channels; at most {MAX_CHANNELS} can be had"
        )
    if min(found) < 1 or max(found) > MAX_WIDTH:
        raise PluginError(f"{file}: its network has the widths {found}; those of DeepSea are 1 … {MAX_WIDTH}")
    with torch.device("meta"):
        network = DeepSeaNet(channels, found)
    check_tensors(network.state_dict(), weights, file)
    return Start(file, weights, {})


def load_into(network: DeepSeaNet, start: Start) -> None:
    """Give a network weights; those of grey images become those of its channels.

    Raises
    ------
    PluginError
        If they are another network's.
    """
    channels = network.down1.first.in_channels
    weights = dict(start.weights)
    if channels > start.channels:
        weights.update({name: repeat_input(weights[name], channels) for name in INPUTS})
    initialise_from(network, weights, start.source, hint="set widths to those of the weights")
