"""Weights that MEDIAR starts from: the authors', or those of this class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from synthbench.errors import ConfigError, PluginError
from synthbench.samples import MAX_CHANNELS
from synthbench.toolkit.intensity.images import RGB
from synthbench.toolkit.training.initial_weights import check_tensors
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_mediar.config import PUBLISHED_NETWORK, MediarConfig
from synthbench_mediar.network import MediarFormer

__all__ = ["Start", "read_checked", "read_file", "with_network"]

PARTS = ("encoder.", "decoder.", "cellprob_head.", "gradflow_head.")
"""How the names of weights begin."""

INPUT = "encoder.patch_embed1.proj.weight"
"""The kernel that sees the image."""


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes
    ----------
    source : Path
    tensors : mapping
    network : mapping
        The keys of `PUBLISHED_NETWORK` with the values of their network, where the configuration doesn't say.
    thresholds : mapping
        Those that were chosen for them; empty if there are none.
    """

    source: Path
    tensors: Mapping[str, torch.Tensor]
    network: Mapping[str, Any]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Channels that they take."""
        return int(self.tensors[INPUT].shape[1])

    @property
    def hint(self) -> str:
        """What to do where the configuration has another network."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self.network.items()}
        return "set " + ", ".join(f"{name}: {value}" for name, value in values.items())


def read_file(file: Path) -> Start:
    """Return the weights of a file of the authors, without the library's head, which some of their files hold.

    Raises
    ------
    PluginError
        If the file can't be read, or isn't one of MEDIAR-Former.
    """
    tensors = read_state_dict(file)
    for part in PARTS:
        if not any(name.startswith(part) for name in tensors):
            raise PluginError(f"{file}: not weights of MEDIAR-Former: no tensor begins with {part}")
    if INPUT not in tensors or tensors[INPUT].ndim != 4:
        raise PluginError(f"{file}: not weights of MEDIAR-Former: there is no kernel {INPUT}")
    tensors = {name: value for name, value in tensors.items() if not name.startswith("segmentation_head.")}
    start = Start(file, tensors, PUBLISHED_NETWORK)
    if not RGB <= start.channels <= MAX_CHANNELS:
        raise PluginError(
            f"{file}: the weights are of images with {start.channels} channels; give those for {RGB} to {MAX_CHANNELS}"
        )
    return start


def read_checked(config: MediarConfig, file: Path) -> Start:
    """Return the weights of a file of the authors, which are those of a configuration's network.

    Raises
    ------
    PluginError
        If they are another network's, or the file can't be read.
    ConfigError
        If the configuration names weights for the encoder, too.
    """
    if config.encoder_weights is not None:
        raise ConfigError("encoder_weights has no effect on a training with init; remove it")
    start = read_file(file)
    with torch.device("meta"), _RatesOnCpu():
        network = MediarFormer(with_network(config, start.network), start.channels)
    check_tensors(network.state_dict(), start.tensors, start.source, hint=start.hint)
    return start


def with_network(config: MediarConfig, network: Mapping[str, Any]) -> MediarConfig:
    """Return a configuration with the keys of a network where it doesn't give them."""
    return config.model_copy(update={key: value for key, value in network.items() if getattr(config, key) is None})


class _RatesOnCpu(TorchFunctionMode):
    """Rates of dropout, which the library's encoder reads from a tensor, have values on the device ``meta``, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func is torch.linspace:
            options["device"] = "cpu"
        return func(*args, **options)
