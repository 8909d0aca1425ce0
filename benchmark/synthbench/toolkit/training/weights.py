"""Weight files: where other tools keep them, whether they are the ones they should be, and how they are read.

A file is read once into memory; its hash is taken of the very bytes that are then loaded.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
from pathlib import Path
from typing import Any

from synthbench.errors import PluginError


def checkpoints() -> Path:
    """Return the folder in which torch keeps what it downloads."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")) / "hub" / "checkpoints"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; a file that hasn't changed is read once."""
    try:
        stat = path.stat()
        return _sha256(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None


@functools.cache
def _sha256(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path, expected: str = "") -> bytes:
    """Return a file's bytes; raise `PluginError` if they haven't the expected SHA-256 (or its beginning)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: can't be read: {error.strerror or error}") from None
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(expected):
        raise PluginError(f"{path}: SHA-256 {found[:16]}…, not {expected[:16]}…; fetch the file again")
    return content


def state_dict(path: Path, expected: str = "") -> dict[str, Any]:
    """Read tensors by name from safetensors, or from a torch checkpoint in which nothing but tensors is allowed.

    Raises
    ------
    PluginError
        If the file can't be read so, or hasn't the expected SHA-256.
    """
    import torch
    from safetensors.torch import load

    content = read(path, expected)
    try:
        if path.suffix == ".safetensors":
            tensors = load(content)
        else:
            tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise anything on a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PluginError(f"{path}: not a file of weights (safetensors, or a torch state dict): {reason}") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise PluginError(f"{path}: not a state dict: it holds more than named tensors")
    return dict(tensors)
