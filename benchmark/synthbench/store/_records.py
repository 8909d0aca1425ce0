"""The record of an artifact: a JSON file with a seal, and the state of every other file of the artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthbench.store._keys import file_digest, key_of

RECORD = "record.json"


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with a seal: the SHA-256 of everything else in it."""
    sealed = {**record, "seal": key_of(record)}
    path.write_text(json.dumps(sealed, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder without its seal, or None if there is none or the seal is broken."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        seal = record.pop("seal")
        return record if seal == key_of(record) else None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def file_state(path: Path) -> dict[str, Any]:
    """Return what a record keeps of a file: ``sha256``, ``bytes`` and ``changed_ns``."""
    state = path.stat()
    return {"sha256": file_digest(path), "bytes": state.st_size, "changed_ns": state.st_mtime_ns}


def is_intact(path: Path, recorded: Mapping[str, Any], thorough: bool) -> bool:
    """Whether a file is as recorded; without `thorough`, equal size and modification time are proof enough."""
    try:
        state = path.stat()
        if state.st_size != recorded["bytes"]:
            return False
        if not thorough and state.st_mtime_ns == recorded["changed_ns"]:
            return True
        return bool(file_digest(path) == recorded["sha256"])
    except OSError:
        return False
