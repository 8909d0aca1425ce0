"""Weights that InstanSeg starts from: the library's, or those of this class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from synthbench.errors import PluginError
from synthbench.samples import MAX_CHANNELS
from synthbench.toolkit.intensity.images import RGB
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_instanseg.config import PUBLISHED_LAYERS, InstanSegConfig

__all__ = ["HINT", "Start", "read_file", "with_layers"]

CHECKPOINT_ENTRY = "model_state_dict"
"""Name of the state dict in the library's ``model_weights.pth``."""

INPUT = "encoder.0.conv0.0.weight"
"""A kernel that sees the image."""

HINT = "set layers and mlp_width to those of the weights, and leave both out for published ones"


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes
    ----------
    source : Path
    tensors : mapping
    layers : tuple of int
        Channels of their U-Net, where the configuration doesn't say.
    hint : str
        What to do where the configuration has another network.
    thresholds : mapping
        Those that were chosen for them; empty if there are none.
    """

    source: Path
    tensors: Mapping[str, torch.Tensor]
    layers: tuple[int, int, int, int]
    hint: str = HINT
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Channels that they take."""
        return int(self.tensors[INPUT].shape[1])


def read_file(file: Path) -> Start:
    """Return the weights of the library's ``model_weights.pth``, or of a state dict of its network.

    Raises
    ------
    PluginError
        If the file can't be read, or holds the weights of something else, such as a TorchScript program.
    """
    tensors = read_state_dict(file, entry=CHECKPOINT_ENTRY)
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    for name in ("pixel_classifier.fc1.weight", INPUT):
        if name not in tensors or tensors[name].ndim < 2:
            raise PluginError(f"{file}: not weights of InstanSeg: there is no tensor {name}")
    start = Start(file, tensors, PUBLISHED_LAYERS)
    if not RGB <= start.channels <= MAX_CHANNELS:
        raise PluginError(
            f"{file}: the weights are of images with {start.channels} channels; give those for {RGB} to {MAX_CHANNELS}"
        )
    return start


def with_layers(config: InstanSegConfig, layers: tuple[int, int, int, int]) -> InstanSegConfig:
    """Return a configuration with these channels of the U-Net where it doesn't say."""
    return config if config.layers is not None else config.model_copy(update={"layers": layers})
