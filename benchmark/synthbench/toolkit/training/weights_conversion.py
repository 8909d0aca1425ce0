"""What files of weights hold, and the tensors of a checkpoint as a file of their own.

Nothing is unpickled but tensors and plain values: `torch.load` with ``weights_only=True`` and a short list of harmless
classes. Where the tensors are taken out of a checkpoint, objects of all other classes are replaced by empty ones: no
class or function that a file names is imported or called. What can't be read so is refused.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.errors import PluginError, join_names, write_error_reason
from synthbench.toolkit.training.weights import SAFETENSORS, archive_problem, torch_reason

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
        raise PluginError(f"{path}: a damaged safetensors file, or none: {error}; download it again") from None
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

    if path.suffix == ".safetensors":
        tensor_infos(path)
        raise PluginError(f"{path}: is a safetensors file already, which holds tensors only; use it as it is")
    content, keys = _load(path, skip=True), []
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


class _Skipped:
    """What stands for an object of a class that isn't loaded."""

    def __new__(cls, *args: Any, **keywords: Any) -> _Skipped:
        return super().__new__(cls)

    def __init__(self, *args: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _plain_dict(*args: Any) -> dict[Any, Any]:
    return {}


def _placeholders(path: Path) -> list[Any]:
    """Return what is put in place of the classes and functions that a checkpoint names and that aren't harmless."""
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not a checkpoint of torch 1.6 or later: loading it says what is wrong
        return []
    known = {name for entry in _harmless() if isinstance(entry, tuple) for name in entry[1:]}
    known |= {f"{entry.__module__}.{entry.__qualname__}" for entry in _harmless() if isinstance(entry, type)}
    return [
        (_plain_dict if name in ("builtins.dict", "collections.defaultdict") else type(name, (_Skipped,), {}), name)
        for name in names
        if name not in known
    ]


def _load(path: Path, *, mmap: bool = False, skip: bool = False) -> Any:
    """Load a torch checkpoint that holds tensors, plain values, and objects of harmless classes.

    With `skip`, it may hold any others, which are replaced by empty objects.
    """
    import torch

    try:
        if problem := archive_problem(path, path.stat().st_size):
            raise PluginError(f"{path}: not a torch checkpoint: {problem}; {SAFETENSORS}")
        with (
            torch.serialization.safe_globals(_harmless() + (_placeholders(path) if skip else [])),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # what is wrong with a file is an error here
            if mmap:
                try:
                    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                except RuntimeError:  # files of torch before 1.6 can't be mapped
                    pass
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None
    except PluginError:
        raise
    except Exception as error:  # torch raises exceptions of any class for a damaged file
        if unsafe := re.search(r"GLOBAL (\S+)", str(error)):
            advice = SAFETENSORS if skip else f"take the tensors out with 'synthbench weights convert {path}'"
            raise PluginError(f"{path}: holds a {unsafe[1]}, which can't be loaded safely; {advice}") from None
        raise PluginError(f"{path}: not a torch checkpoint: {torch_reason(error)}; {SAFETENSORS}") from None


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
