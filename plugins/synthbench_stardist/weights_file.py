"""Weights in Keras' legacy HDF5 form, read as plain arrays: nothing in the file is executed, or leads out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.errors import PluginError

__all__ = ["read_hdf5"]

MAX_VALUES = 2**28
"""Values that a file may hold: 1 GiB of float32. A compressed file can say that it holds much more."""


def read_hdf5(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the weights of each layer, in the order of the layers: layer → weight (``kernel``, ``bias``) → float32.

    Raises
    ------
    PluginError
        If the file isn't one of weights in this form.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            root = _child(file, "model_weights") if "model_weights" in file else file
            layers: dict[str, dict[str, NDArray[Any]]] = {}
            budget = MAX_VALUES
            for layer in _names(root, "layer_names"):
                group = _child(root, layer)
                weights = {}
                for name in _names(group, "weight_names"):
                    dataset = _child(group, name)
                    _check_dataset(name, dataset)
                    budget -= dataset.size
                    if budget < 0:
                        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
                    weights[name.rpartition("/")[2].partition(":")[0]] = np.asarray(dataset[()], np.float32)
                if weights:
                    layers[layer] = weights
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PluginError(f"{path}: not a file of weights in Keras' legacy HDF5 form: {reason}") from None
    if not layers:
        raise PluginError(f"{path}: holds no weights")
    return layers


def _names(group: Any, attribute: str) -> list[str]:
    """Return names from an attribute, which Keras splits into numbered ones if it is long."""
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, number = [], 0
        while f"{attribute}{number}" in group.attrs:
            found += list(group.attrs[f"{attribute}{number}"])
            number += 1
        if not number:
            raise ValueError(f"{attribute} is missing")
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in found]


def _child(group: Any, path: str) -> Any:
    """Return what lies at a path below a group, along hard links: others may lead into other files."""
    import h5py

    here = group
    for part in path.split("/"):
        if part in ("", ".", "..") or not isinstance(here.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path} isn't stored in the file itself")
        here = here[part]
    return here


def _check_dataset(name: str, dataset: Any) -> None:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise ValueError(f"{name} isn't an array of floats")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} isn't stored in the file itself")
