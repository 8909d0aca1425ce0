"""A folder that appears when everything in it is written, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from synthbench.errors import ConfigError, DataError, write_error_reason

__all__ = ["check_new_folder", "new_folder"]

_HINT = "give a new or empty folder with --out"


def check_new_folder(folder: Path) -> None:
    """Raise `ConfigError` if a path is a file, or a folder that holds something."""
    try:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder}: is a file; {_HINT}")
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder}: isn't empty; {_HINT}")
    except OSError as error:
        raise ConfigError(f"{folder}: can't be read: {error.strerror or error}; {_HINT}") from None


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `folder` when the block ends without an error.

    Until then it lies beside it under a hidden name; after an error, or a signal to stop, it is removed.

    Parameters
    ----------
    folder
        It doesn't exist, or is empty.

    Raises
    ------
    ConfigError
        If it exists and isn't empty.
    DataError
        If something can't be written: the disk is full, say.
    """
    check_new_folder(folder)
    beside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=folder.parent))
        yield beside
        beside.chmod(0o755)
        os.replace(beside, folder)
    except OSError as error:
        where = folder if error.filename is None or beside is None else Path(str(error.filename))
        raise DataError(f"{where}: can't be written: {write_error_reason(error)}") from None
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
