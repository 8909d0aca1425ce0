"""Keys: SHA-256 of canonical JSON, and of files."""

from __future__ import annotations

import hashlib
import json
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
