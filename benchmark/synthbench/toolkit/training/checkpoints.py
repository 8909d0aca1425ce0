"""Checkpoints of a training: one file each, with a checksum, that is either as it was written or not used at all.

On disk: a line of what it is, a line with the SHA-256 of the rest, and what `torch.save` writes.
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
from typing import IO, Any, cast

import torch

from synthbench.errors import StoreError, write_error_reason

_KIND = b"synthbench checkpoint 2\n"
_DIGITS = 64
_HEAD = len(_KIND) + _DIGITS + 1


class Odd(Exception):
    """A checkpoint that must not be used, and why: it completes "the checkpoint …"."""


def write(path: Path, content: Mapping[str, Any]) -> str:
    """Write a checkpoint beside `path`, rename it there, and return the SHA-256 of its content.

    Raises
    ------
    StoreError
        When it can't be written; a checkpoint that was there stays.
    """
    beside = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(_head("0" * _DIGITS))
            rest = _Hashed(file)
            torch.save(dict(content), cast(IO[bytes], rest))
            if rest.failed is not None:
                raise rest.failed
            file.seek(0)
            file.write(_head(rest.digest))
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(f"the checkpoint can't be written: {write_error_reason(error)}: {path}") from None
    return rest.digest


def read(path: Path) -> dict[str, Any]:
    """Return what `write` was given.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint.
    Odd
        If the file isn't what was written, bit for bit, or this torch can't read it.
    """
    whole = _bytes(path)
    if not whole.startswith(_KIND):
        raise Odd("was damaged, or written by another version")
    if whole[:_HEAD] != _head(hashlib.sha256(memoryview(whole)[_HEAD:]).hexdigest()):
        raise Odd("was damaged")
    try:
        content = torch.load(io.BytesIO(whole[_HEAD:]), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise Odd(f"can't be read by torch {torch.__version__} ({' '.join(str(error).split())[:80]})") from None
    if not isinstance(content, dict):
        raise Odd("was written by something else")
    return content


def digest_of(path: Path) -> str:
    """Return the SHA-256 that a checkpoint says its content has."""
    with path.open("rb") as file:
        return file.read(_HEAD)[len(_KIND) : -1].decode("ascii", errors="replace")


def _head(digest: str) -> bytes:
    return _KIND + digest.encode() + b"\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Odd(f"can't be read: {error.strerror or error}") from None


class _Hashed:
    """Hashes what goes through it into a file.

    An error is kept, and raised by no `write`: through torch's writer it would come out as another one, or end the
    process.
    """

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.failed: OSError | None = None

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.failed is None:
            try:
                self._file.write(view)
                self._sum.update(view)
            except OSError as error:
                self.failed = error
        return len(view)

    def flush(self) -> None:
        """Leave that to the file."""


# -- the state of a training's parts ----------------------------------------------------------------------------------


def states(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of every part: a network, an optimiser, or a `torch.Generator`."""
    return {name: _state(part) for name, part in parts.items()}


@contextlib.contextmanager
def all_or_none(parts: Mapping[str, Any]) -> Iterator[None]:
    """Within, parts take up another state; an error gives all of them back the one that they had, and is `Odd`.

    A network that has half of another's weights isn't a beginning.
    """
    before, random = copy.deepcopy(states(parts)), torch.get_rng_state()
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        restore(parts, before)
        torch.set_rng_state(random)
        raise Odd(f"doesn't fit this training ({' '.join(str(error).split())[:80]})") from None


def restore(parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    """Give every part a state that `states` gave."""
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(states[name])
        else:
            part.load_state_dict(states[name])


def _state(part: Any) -> Any:
    return part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
