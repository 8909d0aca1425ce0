"""What Cellpose starts from: its own trained model, or a file in the form in which Cellpose 3 publishes weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthbench.errors import PluginError
from synthbench.toolkit.masks.flows import DEFAULT_THRESHOLDS
from synthbench.toolkit.training.initial_weights import check_tensors, initialise_from, repeat_input
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_cellpose import library

HIGH_PERCENTILE = 99.0
"""Percentile that becomes 1 in the library's normalisation."""

DIAMETER, NUCLEI_DIAMETER = 30.0, 17.0
"""Diameters that the published weights were trained with, as the library knows them; the second is that of `nuclei`."""

SIZES = ("diam_mean", "diam_labels")
"""Tensors of a file that are no weights: the diameter to which objects were brought, and the one that they had."""

HEAD = "output."
FIRST_BLOCK = "downsample.down.res_down_0."
INPUT = f"{FIRST_BLOCK}conv.conv_0.2.weight"
HINT = "give a file of Cellpose 2 or 3"


@dataclass(frozen=True)
class Start:
    """Trained weights, and what is known of them.

    Attributes
    ----------
    source : Path
    tensors : mapping
    channels : int
        Of the images that they take: 1 (grey, which enters with an empty second channel) or 3.
    diam_mean : float
        Diameter of objects as they enter the network, in pixels.
    diameter : float
        Mean diameter of the objects that they were trained on, in pixels of the images.
    high_percentile : float
        Percentile of an image that becomes 1.
    thresholds : mapping
    """

    source: Path
    tensors: Mapping[str, torch.Tensor]
    channels: int
    diam_mean: float
    diameter: float
    high_percentile: float
    thresholds: Mapping[str, float]


def read_file(file: Path) -> Start:
    """Return what a file of weights holds.

    Raises
    ------
    PluginError
        If it can't be a file of Cellpose 3, with the reason.
    """
    tensors = read_state_dict(file)
    if "W2" in tensors:
        raise PluginError(f"{file}: these are weights of Cellpose 4 (key W2); use them with the segmenter cellpose-sam")
    first = tensors.get(INPUT)
    if first is None or first.ndim != 4:
        raise PluginError(f"{file}: the weights are another network's: {INPUT} is missing; {HINT}")
    channels = {2: 1, 3: 3}.get(first.shape[1])
    if channels is None:
        raise PluginError(
            f"{file}: the weights take {first.shape[1]} channels; give those of a model of 2 or 3 channels"
        )
    is_nuclei = file.stem in ("nuclei", "nucleitorch_0")
    diam_mean = NUCLEI_DIAMETER if is_nuclei else _size(file, tensors, "diam_mean", DIAMETER)
    diameter = _size(file, tensors, "diam_labels", diam_mean)
    return Start(file, tensors, channels, diam_mean, diameter, HIGH_PERCENTILE, DEFAULT_THRESHOLDS)


def check_file(file: Path) -> None:
    """Raise `PluginError` if a file doesn't hold the weights of Cellpose 3's network."""
    start = read_file(file)
    with torch.device("meta"):
        network = library.bare_network(start.tensors[INPUT].shape[1])
    expected, found = (
        {name: value for name, value in tensors.items() if not name.startswith((HEAD, *SIZES))}
        for tensors in (network.state_dict(), start.tensors)
    )
    check_tensors(expected, found, file, hint=HINT)


def load_start(network: Any, start: Start, diam_mean: float, diameter: float, notify: Callable[[str], None]) -> bool:
    """Give a Cellpose network trained weights; return False if its output layer starts from the seed.

    Parameters
    ----------
    network
        A ``CPnet`` for 2 or 3 channels.
    start
    diam_mean, diameter
        What the network shall keep as its own: diameters of objects in pixels, as they enter it and in the images.
    notify
        Called with a line about what was adapted.
    """
    tensors = {name: value for name, value in start.tensors.items() if name not in SIZES}
    if network.nchan == 3 and start.channels == 1:
        tensors = as_rgb(tensors)
        notify(f"init {start.source}: its weights are of grey images; its first layers are repeated for RGB")
    device = network.diam_mean.device
    sizes = {"diam_mean": torch.full((1,), diam_mean), "diam_labels": torch.full((1,), diameter)}
    tensors |= {name: value.to(device) for name, value in sizes.items()}
    return initialise_from(network, tensors, start.source, heads=[HEAD], hint=HINT, notify=notify)


def as_rgb(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a network for grey images and an empty second channel as those of one for RGB images.

    An RGB image whose channels are equal gets the answer of the grey one, but for a rim of a pixel: the weights of the
    first channel are repeated and divided by 3, and what an empty second channel adds goes into the bias.
    """
    adapted = dict(tensors)
    for norm, convolution, activation in (
        (f"{FIRST_BLOCK}conv.conv_0.0.", f"{FIRST_BLOCK}conv.conv_0.2.", nn.ReLU()),
        (f"{FIRST_BLOCK}proj.0.", f"{FIRST_BLOCK}proj.1.", nn.Identity()),
    ):
        weight = tensors[f"{convolution}weight"]
        scale, shift, mean, variance = (
            tensors[norm + name] for name in ("weight", "bias", "running_mean", "running_var")
        )
        empty = activation(shift[1] - scale[1] * mean[1] / torch.sqrt(variance[1] + 1e-5))
        adapted[f"{convolution}bias"] = tensors[f"{convolution}bias"] + empty * weight[:, 1].sum(dim=(1, 2))
        adapted[f"{convolution}weight"] = repeat_input(weight[:, :1], 3)
        for name in ("weight", "bias", "running_mean", "running_var"):
            adapted[norm + name] = tensors[norm + name][:1].repeat(3)
    return adapted


def _size(file: Path, tensors: Mapping[str, torch.Tensor], name: str, default: float) -> float:
    """Return a diameter that a file holds; `default` if it has none, as files of Cellpose 1."""
    if name not in tensors:
        return default
    value = tensors[name].flatten()
    if value.numel() != 1 or not 1 <= float(value[0]) <= 1000:
        raise PluginError(f"{file}: {name} is {value.tolist()!r}; expected a diameter in pixels")
    return float(value[0])
