"""Files that people name: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from synthbench.errors import DataError


def atomic_write(path: Path, content: str | bytes, way: str = "give another --out") -> Path:
    """Write a file beside its place, and rename it there.

    A link stays one: the file that it leads to is replaced. What is no regular file, like a pipe or ``/dev/stdout``, is
    written into.

    Parameters
    ----------
    path
    content
        Text is written as UTF-8.
    way
        The way out that an error offers.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    DataError
        If it can't be written; what was there before is still there.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if _written_into(path):
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
        raise DataError(f"{path}: can't be written: {error.strerror or error}; {way}") from None
    return path


def _written_into(path: Path) -> bool:
    """Whether this is there and neither a regular file nor a folder; of a link, what it leads to."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
