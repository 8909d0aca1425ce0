"""Changes on disk: errors as one line with a hint, folders that disappear at once."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from synthbench.errors import StoreError

OTHER_STORE = "name another store with --store"


@contextlib.contextmanager
def disk_errors(path: Path, hint: str = OTHER_STORE) -> Iterator[None]:
    """Turn an `OSError` within, as from a full or read-only disk, into a `StoreError` of one line.

    Parameters
    ----------
    path
        Named in the message if the error names no file.
    hint
        What to do about it, unless the disk is full.

    Raises
    ------
    StoreError
        Instead of any `OSError` but `FileNotFoundError`, which stays as it is.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        advice = "free some space" if error.errno == errno.ENOSPC else hint
        raise StoreError(f"{error.filename or path}: can't be written: {error.strerror or error}; {advice}") from None


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there: it is renamed first, so that nobody sees half of it."""
    doomed = folder.with_name(f".{folder.name}.doomed-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError), disk_errors(folder):
        os.replace(folder, doomed)
        shutil.rmtree(doomed)
