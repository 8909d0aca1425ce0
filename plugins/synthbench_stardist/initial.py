"""What StarDist starts from: its own trained model, or a folder in the form in which the library publishes models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from synthbench.errors import PluginError
from synthbench.toolkit.training.initial_weights import tensor_problem
from synthbench_stardist.weights_file import read_hdf5

if TYPE_CHECKING:
    from synthbench_stardist.config import StarDistConfig

CONFIG, THRESHOLDS, WEIGHTS = "config.json", "thresholds.json", "weights_best.h5"

DEFAULT_THRESHOLDS = {"prob": 0.5, "nms": 0.4}
"""The library's, for models without a file of thresholds."""

CHOSEN = ("n_rays", "grid", "unet_n_depth", "unet_n_filter_base")
"""Keys of a model's configuration that this plugin's configuration has too, under the same names."""

FIXED: Mapping[str, Any] = {
    "n_dim": 2,
    "n_classes": None,
    "backbone": "unet",
    "unet_kernel_size": [3, 3],
    "unet_n_conv_per_depth": 2,
    "unet_pool": [2, 2],
    "unet_activation": "relu",
    "unet_last_activation": "relu",
    "unet_batch_norm": False,
    "unet_dropout": 0.0,
    "unet_expansion": 2,
    "unet_prefix": "",
    "net_conv_after_unet": 128,
}
"""Keys whose value must be the library's default; older models lack some of them."""


@dataclass(frozen=True)
class Start:
    """Trained weights, and what is known of them.

    Attributes
    ----------
    source : Path
    arrays : mapping
        By the names of `named`.
    channels : int
        Of the images that they take, 1 or 3.
    thresholds : mapping
        ``prob`` and ``nms``.
    filters : int
        Channels of the first level of their U-Net.
    """

    source: Path
    arrays: Mapping[str, NDArray[Any]]
    channels: int
    thresholds: Mapping[str, float]
    filters: int


def read_folder(folder: Path, config: StarDistConfig) -> Start:
    """Return what a published model's folder holds; raise `PluginError` if it can't be used with a configuration."""
    channels, filters = _check_config(folder, config)
    return Start(folder, canonical(read_hdf5(folder / WEIGHTS)), channels, _thresholds(folder), filters)


def check_folder(folder: Path, config: StarDistConfig) -> None:
    """Raise `PluginError` if a folder isn't a published model for a configuration."""
    channels, _ = _check_config(folder, config)
    _thresholds(folder)
    arrays = canonical(read_hdf5(folder / WEIGHTS))
    shapes = {name: array.shape for name, array in arrays.items()}
    for name, shape in {"dist/bias": (config.n_rays,), "prob/bias": (1,)}.items():
        if shapes.get(name) != shape:
            raise PluginError(f"{folder / WEIGHTS}: {name} has shape {shapes.get(name)}, and its {CONFIG} says {shape}")
    _check_finite(arrays, folder / WEIGHTS)
    first = next(iter(shapes.values()))
    if len(first) != 4 or first[2] != channels:
        raise PluginError(
            f"{folder / WEIGHTS}: its first layer has shape {first}, and its {CONFIG} {channels} channels"
        )


def canonical(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``{layer: {weight: value}}`` as ``{"layer/weight": value}``, for layers in their order.

    Keras numbers layers without a name anew in each process; here they are ``conv2d#0``, ``conv2d#1`` …
    """
    named: dict[str, Any] = {}
    unnamed = 0
    for layer, weights in layers.items():
        name = layer
        if re.fullmatch(r"conv2d(_\d+)?", layer):
            name = f"conv2d#{unnamed}"
            unnamed += 1
        named |= {f"{name}/{weight}": value for weight, value in weights.items()}
    return named


def named(keras_model: Any) -> dict[str, Any]:
    """Return the variables of a network, by layer and name."""
    layers = {layer.name: layer.weights for layer in keras_model.layers if layer.weights}
    return canonical({layer: {_plain(w.name): w for w in weights} for layer, weights in layers.items()})


def load_start(keras_model: Any, start: Start, channels: int) -> None:
    """Give a network for images of so many channels trained weights.

    Raises
    ------
    PluginError
        If they are another network's.
    """
    arrays, variables = dict(start.arrays), named(keras_model)
    if channels > start.channels:
        first = next(name for name in variables if name.endswith("/kernel"))
        arrays[first] = np.repeat(arrays[first], channels, axis=2) / np.float32(channels)
    problem = tensor_problem(
        {name: tuple(variable.shape) for name, variable in variables.items()},
        {name: array.shape for name, array in arrays.items()},
    )
    if problem:
        keys = ", ".join(CHOSEN)
        raise PluginError(f"{start.source}: the weights are another network's: {problem}; {keys} must be theirs")
    _check_finite(arrays, start.source)
    for name, variable in variables.items():
        variable.assign(arrays[name])


def is_encoder(name: str) -> bool:
    """Return whether a variable of `named` belongs to the encoder: all layers before the first upsampling."""
    return not name.startswith(("up_level_", "features/", "prob/", "dist/"))


def _check_finite(arrays: Mapping[str, NDArray[Any]], source: Path) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise PluginError(f"{source}: {name} holds values that aren't finite; the training that made it diverged")


def _plain(weight: str) -> str:
    return weight.rpartition("/")[2].partition(":")[0]


def _check_config(folder: Path, config: StarDistConfig) -> tuple[int, int]:
    """Return a model's channels and filters; raise `PluginError` if its configuration and the plugin's differ."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise PluginError(f"{folder}: {name} is missing; give the folder of a StarDist model, unpacked")
    found = _read_json(folder / CONFIG)
    for key, expected in FIXED.items():
        if key in found and found[key] != expected:
            raise PluginError(f"{folder / CONFIG}: {key} is {found[key]!r}; this plugin builds {expected!r} only")
    grid = found.get("grid")
    if not isinstance(grid, list) or len(set(map(str, grid))) != 1:
        raise PluginError(f"{folder / CONFIG}: grid is {grid!r}; this plugin builds equal ones only")
    filters = found.get("unet_n_filter_base")
    if type(filters) is not int or filters < 1:
        raise PluginError(f"{folder / CONFIG}: unet_n_filter_base is {filters!r}; expected a number of channels")
    theirs = {**{key: found.get(key) for key in CHOSEN}, "grid": grid[0]}
    ours = {key: getattr(config, key) for key in CHOSEN}
    different = {key: value for key, value in theirs.items() if ours[key] is not None and value != ours[key]}
    for key, value in different.items():
        try:
            type(config).model_validate({**config.model_dump(), key: value})
        except ValidationError:
            raise PluginError(f"{folder / CONFIG}: {key} is {value!r}; this plugin can't build that") from None
    if different:
        wanted = ", ".join(f"{key}: {value}" for key, value in different.items())
        raise PluginError(f"{folder}: the model has another network; set {wanted} in the configuration of stardist")
    channels = found.get("n_channel_in")
    if channels not in (1, 3):
        raise PluginError(f"{folder / CONFIG}: n_channel_in is {channels!r}; give a model of grey or RGB images")
    return int(channels), filters


def _thresholds(folder: Path) -> dict[str, float]:
    path = folder / THRESHOLDS
    if not path.exists():
        return dict(DEFAULT_THRESHOLDS)
    found = _read_json(path)
    thresholds = {}
    for name in DEFAULT_THRESHOLDS:
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise PluginError(f"{path}: {name} is {value!r}; expected a number of 0 … 1")
        thresholds[name] = float(value)
    return thresholds


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PluginError(f"{path}: can't be read: {error}") from None
    if not isinstance(content, dict):
        raise PluginError(f"{path}: isn't a JSON object")
    return content
