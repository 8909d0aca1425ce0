"""What files of weights hold, and the tensors of a checkpoint as a file of their own.

Nothing is unpickled but tensors and plain values: `torch.load` with ``weights_only=True`` and a short list of harmless
classes. What needs more is refused.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.errors import PluginError, join_names, write_error_reason

if TYPE_CHECKING:
    import torch

__all__ = ["WRAPPINGS", "Extracted", "TensorInfo", "convert_weights", "extract_state_dict", "tensor_infos"]

WRAPPINGS = ("state_dict", "model_state_dict", "model", "network", "net", "params")
"""Keys under which training programs keep a state dict, the first of which is taken."""

_PREFIX = "module."
"""What `torch.nn.DataParallel` puts before each name."""


@dataclass(frozen=True)
class TensorInfo:
    """Shape and type of a stored tensor.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        As safetensors or torch calls it, in lower case.
    """

    shape: tuple[int, ...]
    dtype: str


def tensor_infos(path: Path) -> dict[str, TensorInfo]:
    """Return shape and type of each tensor of a file of weights, by name, without reading the values where possible.

    Parameters
    ----------
    path
        A safetensors file, or a torch checkpoint that holds tensors only.

    Raises
    ------
    PluginError
        If the file can't be read or isn't a state dict.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        tensors = _require_state_dict(_load(path, mmap=True), path)
        return {
            name: TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in tensors.items()
        }
    infos = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 – not a mapping
                stored = file.get_slice(name)
                infos[name] = TensorInfo(tuple(stored.get_shape()), stored.get_dtype().lower())
    except (OSError, SafetensorError) as error:
        raise PluginError(f"{path}: can't be read: {error}") from None
    return infos


@dataclass(frozen=True)
class Extracted:
    """The tensors of a checkpoint.

    Attributes
    ----------
    tensors : mapping
    found_at : str
        The keys that lead to them, ``"model.state_dict"``; empty if the checkpoint is a state dict.
    left_out : tuple of str
        Names of values beside them that are no tensors.
    """

    tensors: Mapping[str, torch.Tensor]
    found_at: str
    left_out: tuple[str, ...]


def extract_state_dict(path: Path) -> Extracted:
    """Return the tensors of a torch checkpoint that may hold more than these.

    A state dict is looked for under `WRAPPINGS`, and the prefix ``module.`` is taken off all names.

    Raises
    ------
    PluginError
        If the file can't be loaded safely, or there is no state dict in it.
    """
    import torch

    content, keys = _load(path), []
    while isinstance(content, Mapping):
        key = next((key for key in WRAPPINGS if isinstance(content.get(key), Mapping)), None)
        if key is None:
            break
        content = content[key]
        keys.append(key)
    if not isinstance(content, Mapping):
        raise PluginError(f"{path}: holds no state dict, but a {type(content).__name__}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise PluginError(f"{path}: no state dict found under {join_names(WRAPPINGS)}; it holds {join_names(content)}")
    if all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): value for name, value in tensors.items()}
    left_out = tuple(str(name) for name, value in content.items() if not isinstance(value, torch.Tensor))
    return Extracted(tensors, ".".join(keys), left_out)


def convert_weights(source: Path, target: Path) -> Extracted:
    """Write the tensors of a torch checkpoint as safetensors, and return them.

    Raises
    ------
    PluginError
        If the source can't be loaded safely or holds no state dict, or the target exists, isn't named
        ``….safetensors`` or can't be written.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if target.suffix != ".safetensors":
        raise PluginError(f"{target}: the name of the new file must end in .safetensors")
    if target.exists():
        raise PluginError(f"{target}: exists already; give another name")
    extracted = extract_state_dict(source)
    copies = {
        name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in extracted.tensors.items()
    }
    temporary = target.with_suffix(".tmp")
    try:
        save_file(copies, temporary)
        os.replace(temporary, target)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        temporary.unlink(missing_ok=True)
        raise PluginError(f"{target}: can't be written: {write_error_reason(error)}") from None
    return extracted


def _load(path: Path, *, mmap: bool = False) -> Any:
    """Load a torch checkpoint that holds tensors, plain values, and objects of harmless classes."""
    import torch

    try:
        with torch.serialization.safe_globals(_harmless()):
            if mmap:
                try:
                    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                except RuntimeError:  # files of torch before 1.6 can't be mapped
                    pass
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None
    except Exception as error:  # torch raises exceptions of any class for a damaged file
        if unsafe := re.search(r"GLOBAL (\S+)", str(error)):
            raise PluginError(
                f"{path}: holds a {unsafe[1]}, which can't be loaded safely; ask its authors for a state dict"
            ) from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PluginError(f"{path}: not a torch checkpoint: {reason[:160]}") from None


def _harmless() -> list[Any]:
    """Return classes and functions that may be in a checkpoint: none of them executes what a file says."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    return [
        argparse.Namespace,
        pathlib.PosixPath,
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
        type(np.dtype(np.int64)),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
    ]


def _require_state_dict(content: Any, path: Path) -> dict[str, torch.Tensor]:
    import torch

    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise PluginError(
            f"{path}: not a state dict: it holds more than named tensors; 'synthbench weights convert' takes them out"
        )
    return {str(name): value for name, value in content.items()}
