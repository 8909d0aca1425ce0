"""What the U-Net starts from: its own trained model, or a file of weights of the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthbench.errors import PluginError
from synthbench.samples import MAX_CHANNELS
from synthbench.toolkit.training.initial_weights import check_tensors, initialise_from, repeat_input
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_unet.config import UNetConfig
from synthbench_unet.heads import Head
from synthbench_unet.network import build

HEAD = "final_conv."
INPUT = "conv_0.conv_0.conv.weight"
HINT = "they must be those of a U-Net with the same features"


@dataclass(frozen=True)
class Start:
    """Trained weights, and what is known of them.

    Attributes
    ----------
    source : Path
    tensors : mapping
    channels : int
        Of the images that they take.
    head : Head or None
        What their output means; None if nobody says, and its shape decides.
    thresholds : mapping
        Those that were tuned with them; empty if there are none.
    """

    source: Path
    tensors: Mapping[str, torch.Tensor]
    channels: int
    head: Head | None
    thresholds: Mapping[str, Any]

    def means(self, head: Head) -> bool:
        """Return whether the output means what a head says, as far as is known."""
        return self.head is None or (type(self.head) is type(head) and self.head.planes == head.planes)


def read_file(file: Path) -> Start:
    """Return what a file of weights holds; raise `PluginError` if it can't be a U-Net's."""
    tensors = read_state_dict(file)
    if INPUT not in tensors or tensors[INPUT].ndim != 4:
        raise PluginError(f"{file}: the weights are another network's: {INPUT} is missing; {HINT}")
    channels = tensors[INPUT].shape[1]
    if not 1 <= channels <= MAX_CHANNELS:
        raise PluginError(
            f"{file}: the weights are of images with {channels} channels; at most {MAX_CHANNELS} can be had"
        )
    return Start(file, tensors, channels, None, {})


def check_file(config: UNetConfig, file: Path) -> None:
    """Raise `PluginError` if a file doesn't hold the weights of a network with these features."""
    start = read_file(file)
    with torch.device("meta"):
        network = build(start.channels, 1, config.features)
    expected, found = (
        {name: value for name, value in tensors.items() if not name.startswith(HEAD)}
        for tensors in (network.state_dict(), start.tensors)
    )
    check_tensors(expected, found, file, hint=HINT)


def load_start(
    network: nn.Module,
    start: Start,
    config: UNetConfig,
    head: Head,
    channels: int,
    notify: Callable[[str], None],
) -> bool:
    """Give a network for images of so many channels trained weights; return False if its head starts from the seed."""
    tensors = dict(start.tensors)
    if channels > start.channels:
        tensors[INPUT] = repeat_input(tensors[INPUT], channels)
        notify(f"init {start.source}: its weights are of grey images; the first convolution serves {channels} channels")
    return initialise_from(
        network, tensors, start.source, heads=[HEAD], keep_heads=start.means(head), hint=HINT, notify=notify
    )
