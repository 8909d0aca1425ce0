"""Atomic writes: a file is replaced completely or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from synthbench.errors import DataError

__all__ = ["atomic_write"]


def atomic_write(path: Path, content: str | bytes, hint: str = "use another --out") -> Path:
    """Write a file atomically: to a temporary file beside it, which is then renamed.

    A symbolic link is kept: the file it points to is replaced. Pipes and devices such as ``/dev/stdout`` are written
    directly. An existing file keeps its permissions.

    Parameters
    ----------
    path
    content
        Text is written as UTF-8.
    hint
        What the error message recommends.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    DataError
        If it can't be written; an existing file is then unchanged.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if _is_stream(path):
            with path.open("wb") as handle:
                handle.write(data)
            return path
        target = path.resolve() if path.is_symlink() else path
        beside = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            beside.write_bytes(data)
            if target.exists():
                beside.chmod(stat.S_IMODE(target.stat().st_mode))
            os.replace(beside, target)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"{path}: can't be written: {error.strerror or error}; {hint}") from None
    return path


def _is_stream(path: Path) -> bool:
    """Whether this exists and is neither a regular file nor a folder; a link is followed."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
