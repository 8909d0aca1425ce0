"""Files of splits: JSON with a digest, the same bytes on every machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthbench.datasets._ordering import digest
from synthbench.datasets.splits import Split
from synthbench.errors import DataError
from synthbench.io.atomic import atomic_write

__all__ = ["FORMAT", "read_splits", "write_splits"]

FORMAT = 1


def write_splits(path: str | Path, splits: Sequence[Split]) -> str:
    """Write splits to a JSON file, the same bytes on every machine; return the SHA-256 that it carries.

    Raises
    ------
    DataError
        If the file can't be written; an older one stays as it was.
    """
    path = Path(path)
    rows = [{part: list(ids) for part, ids in split.parts.items()} for split in splits]
    content: dict[str, Any] = {"format": FORMAT, "splits": rows}
    content["sha256"] = digest({"format": FORMAT, "splits": rows})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: can't be written: {error.strerror or error}") from None
    atomic_write(path, json.dumps(content, indent=1, sort_keys=True) + "\n", "check the folder")
    return str(content["sha256"])


def read_splits(path: str | Path) -> tuple[Split, ...]:
    """Read what `write_splits` wrote; raise `DataError` if the file is missing, damaged or altered."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such splits file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: can't be read: {error}") from None
    try:
        if content["format"] != FORMAT:
            raise DataError(f"{path}: unknown format {content['format']}; this version reads {FORMAT}")
        rows = content["splits"]
        if content["sha256"] != digest({"format": FORMAT, "splits": rows}):
            raise DataError(f"{path}: has changed since it was written; restore it, or write the splits again")
        return tuple(Split(**row) for row in rows)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged splits file ({error!r})") from None
