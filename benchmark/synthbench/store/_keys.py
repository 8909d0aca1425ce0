"""Keys: SHA-256 of canonical JSON, of files and of folders."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def canonical(content: Any) -> str:
    """Return JSON with one spelling per value: sorted keys, no spaces, ASCII, no NaN.

    Raises
    ------
    ValueError, TypeError
        If the content isn't JSON.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `content`, as 64 hexadecimal digits.

    Raises
    ------
    ValueError, TypeError
        If the content isn't JSON.
    """
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    OSError
        If it can't be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def folder_digest(path: Path) -> str:
    """Return the SHA-256 of the files in a folder and below it, by their paths in it; hidden ones don't count.

    Links are followed, but not to a folder that is above them.

    Raises
    ------
    OSError
        If one can't be read.
    """
    rows = []
    seen = {os.path.realpath(path)}

    def fail(error: OSError) -> None:
        raise error

    for root, folders, files in os.walk(path, onerror=fail, followlinks=True):
        inner = {name: os.path.realpath(os.path.join(root, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, real in inner.items() if real not in seen]
        seen.update(inner.values())
        for name in files:
            if not name.startswith("."):
                file = Path(root, name)
                rows.append([file.relative_to(path).as_posix(), file_digest(file)])
    return key_of(sorted(rows))
