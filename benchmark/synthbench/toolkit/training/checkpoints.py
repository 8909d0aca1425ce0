"""Checkpoints of a training: one file each, protected by a checksum; a damaged one is never used.

The file is a line that names the format, a line with the SHA-256 of the rest, and the output of `torch.save`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, cast

import torch

from synthbench.errors import StoreError, write_error_reason

__all__ = [
    "State",
    "Stateful",
    "UnusableCheckpoint",
    "all_or_nothing",
    "load_state_dicts",
    "read",
    "state_dicts",
    "stored_digest",
    "write",
]

_FORMAT = b"synthbench checkpoint 3\n"
_DIGITS = 64
_HEADER_BYTES = len(_FORMAT) + _DIGITS + 1


class Stateful(Protocol):
    """What a training changes and a checkpoint keeps: networks, optimisers, weight averages."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors, numbers and strings, by name."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a state that `state_dict` returned."""


State: TypeAlias = Stateful | torch.Generator


class UnusableCheckpoint(Exception):
    """A checkpoint that must not be used. The message continues the sentence "the checkpoint …"."""


# -- files ------------------------------------------------------------------------------------------------------------


def write(path: Path, content: Mapping[str, Any]) -> str:
    """Write a checkpoint under another name, rename it to `path`, and return the SHA-256 of its content.

    Raises
    ------
    StoreError
        If it can't be written; an earlier checkpoint at `path` stays.
    """
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(_header("0" * _DIGITS))
            body = _HashingWriter(file)
            torch.save(dict(content), cast(IO[bytes], body))
            if body.error is not None:
                raise body.error
            file.seek(0)
            file.write(_header(body.digest))
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"{path}: the checkpoint can't be written: {write_error_reason(error)}") from None
    return body.digest


def read(path: Path) -> dict[str, Any]:
    """Return the content that was passed to `write`.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    UnusableCheckpoint
        If the file differs from what was written, or this version of torch can't read it.
    """
    data = _read_bytes(path)
    if not data.startswith(_FORMAT):
        raise UnusableCheckpoint("was damaged, or written by another version")
    if data[:_HEADER_BYTES] != _header(hashlib.sha256(memoryview(data)[_HEADER_BYTES:]).hexdigest()):
        raise UnusableCheckpoint("was damaged")
    try:
        content = torch.load(io.BytesIO(data[_HEADER_BYTES:]), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:80]
        raise UnusableCheckpoint(f"can't be read by torch {torch.__version__} ({reason})") from None
    if not isinstance(content, dict):
        raise UnusableCheckpoint("was written by another program")
    return content


def stored_digest(path: Path) -> str:
    """Return the SHA-256 in the header of a checkpoint; its content isn't read."""
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)[len(_FORMAT) : -1].decode("ascii", errors="replace")


def _header(digest: str) -> bytes:
    return _FORMAT + digest.encode() + b"\n"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableCheckpoint(f"can't be read: {error.strerror or error}") from None


class _HashingWriter:
    """Writes to a file and computes the SHA-256 of what is written.

    An error of the file is kept, not raised: torch's writer would turn it into another one, or end the process.
    """

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.error: OSError | None = None

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                self._file.write(view)
                self._hash.update(view)
            except OSError as error:
                self.error = error
        return len(view)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""


# -- the state of a training ------------------------------------------------------------------------------------------


def state_dicts(state: Mapping[str, State]) -> dict[str, Any]:
    """Return the state of every network, optimiser, `torch.Generator` …, by name."""
    return {
        name: each.get_state() if isinstance(each, torch.Generator) else each.state_dict()
        for name, each in state.items()
    }


def load_state_dicts(state: Mapping[str, State], stored: Mapping[str, Any]) -> None:
    """Restore every network, optimiser, `torch.Generator` … from what `state_dicts` returned."""
    for name, each in state.items():
        if isinstance(each, torch.Generator):
            each.set_state(stored[name])
        else:
            each.load_state_dict(stored[name])


@contextlib.contextmanager
def all_or_nothing(state: Mapping[str, State]) -> Iterator[None]:
    """Within this context `state` is restored completely or, after an error, stays as it was.

    Raises
    ------
    UnusableCheckpoint
        If what is restored doesn't fit.
    """
    before, random = copy.deepcopy(state_dicts(state)), torch.get_rng_state()
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        load_state_dicts(state, before)
        torch.set_rng_state(random)
        reason = " ".join(str(error).split())[:80]
        raise UnusableCheckpoint(f"doesn't fit this training ({reason})") from None
