"""Files of network weights: saving and loading a plugin's own, and reading pretrained ones safely.

Nothing is unpickled. A pretrained file is read into memory once, and its SHA-256 is computed from the same bytes that
are then loaded.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.errors import PluginError, StoreError, write_error_reason

if TYPE_CHECKING:
    import torch

__all__ = [
    "SAFETENSORS",
    "archive_problem",
    "load_weights",
    "read_bytes",
    "read_state_dict",
    "save_weights",
    "sha256",
    "torch_hub_folder",
    "torch_reason",
]

SAFETENSORS = "ask the authors for a safetensors file"
"""What to do where a file can't be loaded safely."""

_SAFETENSORS_HEADER = b'{"'
"""What follows the first eight bytes of a safetensors file."""

# -- a plugin's own weights -------------------------------------------------------------------------------------------


def save_weights(module: torch.nn.Module, path: Path) -> None:
    """Write the parameters and buffers of a module as safetensors.

    The file is written under another name and renamed, so `path` never holds a partial file.

    Raises
    ------
    StoreError
        If the file can't be written.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }
    temporary = path.with_suffix(".tmp")
    try:
        save_file(tensors, temporary)
        os.replace(temporary, path)
    except Exception as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"{path}: the weights can't be written: {write_error_reason(error)}") from None


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into a module of the same architecture, on the module's device.

    Raises
    ------
    StoreError
        If the file is missing or damaged, or holds the weights of another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise StoreError(f"{path}: the weights are missing; fit again") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreError(f"{path}: the weights can't be read: {reason}") from None


# -- pretrained weights -----------------------------------------------------------------------------------------------


def torch_hub_folder() -> Path:
    """Return the folder in which `torch.hub` keeps downloaded checkpoints."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")) / "hub" / "checkpoints"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; it is computed again only if the file changed.

    Raises
    ------
    PluginError
        If the file can't be read.
    """
    try:
        stat = path.stat()
        return _sha256(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None


@functools.cache
def _sha256(path: Path, modified_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path, expected: str = "") -> bytes:
    """Return the content of a file after checking its SHA-256.

    Parameters
    ----------
    path
    expected
        The SHA-256 or its first digits; empty: not checked.

    Raises
    ------
    PluginError
        If the file can't be read or has another SHA-256.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(expected):
        raise PluginError(f"{path}: SHA-256 is {digest[:16]}…, expected {expected[:16]}…; download the file again")
    return content


def torch_reason(error: Exception) -> str:
    """Return what torch found wrong with a file, without its advice to load the file unsafely."""
    text = " ".join(str(error).split())
    if "weights_only" in text:
        text = text.partition("WeightsUnpickler error: ")[2].partition(" Please ")[0]
    if isinstance(error, KeyError | IndexError | AttributeError | TypeError):  # of the reader, lost in other bytes
        text = "damaged, or not written by torch"
    if not text or "weights_only" in text or "http" in text:
        text = "it can't be loaded safely"
    text = text.partition(" This is an internal")[0]
    return text[:160].rstrip(". ") or type(error).__name__


def archive_problem(source: Path | io.BytesIO, size: int) -> str:
    """Return why the archive of a torch checkpoint isn't unpacked; "" if it may be, or if there is none.

    Parameters
    ----------
    source
        The file, or its content.
    size
        Bytes that it has. Torch doesn't compress, so what is unpacked has no more.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return ""
    if unpacked <= size:
        return ""
    return f"its {size:,} bytes unpack to {unpacked:,}, and torch doesn't compress"


def read_state_dict(path: Path, expected: str = "", *, entry: str = "") -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file, or of a torch checkpoint that holds tensors only, by name.

    Parameters
    ----------
    path, expected
        As for `read_bytes`.
    entry
        Name under which a torch checkpoint may hold the state dict, beside numbers and other states.

    Raises
    ------
    PluginError
        If the file can't be read, isn't a state dict, or has another SHA-256.
    """
    import torch
    from safetensors.torch import load

    content = read_bytes(path, expected)
    if not content:
        raise PluginError(f"{path}: is empty; download it again")
    is_safetensors = path.suffix == ".safetensors"
    if not is_safetensors and content[8:10] == _SAFETENSORS_HEADER:
        raise PluginError(f"{path}: is a safetensors file; give it a name that ends in .safetensors")
    if not is_safetensors and (problem := archive_problem(io.BytesIO(content), len(content))):
        raise PluginError(f"{path}: not a file of weights: {problem}; {SAFETENSORS}")
    try:
        if is_safetensors:
            tensors: Any = load(content)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong with a file is an error here
                tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise exceptions of any class for a damaged file
        if is_safetensors:
            what = f"not a file of weights: damaged, or no safetensors: {error}; download it again"
        elif unsafe := re.search(r"GLOBAL (\S+)", str(error)):
            convert = f"take its tensors out with 'synthbench weights convert {path} NEW.safetensors'"
            what = f"not a state dict: it holds a {unsafe[1]}, which isn't loaded; {convert}, or {SAFETENSORS}"
        else:
            what = f"not a file of weights (safetensors, or a torch state dict): {torch_reason(error)}; {SAFETENSORS}"
        raise PluginError(f"{path}: {' '.join(what.split())}") from None
    if entry and isinstance(tensors, dict):
        tensors = tensors.get(entry, tensors)
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise PluginError(
            f"{path}: not a state dict: it holds more than named tensors; 'synthbench weights convert' takes them out"
        )
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise PluginError(f"{path}: not a state dict: {name!r} isn't the name of a tensor; {SAFETENSORS}")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise PluginError(f"{path}: {name} is stored as a sparse, quantised or empty tensor; {SAFETENSORS}")
    return dict(tensors)
