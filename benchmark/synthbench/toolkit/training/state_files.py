"""JSON files that a fitted plugin saves beside its weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from synthbench.errors import StoreError

__all__ = ["read_state", "write_state"]

StateT = TypeVar("StateT")


def read_state(path: Path, parse: Callable[[Any], StateT]) -> StateT:
    """Return what `parse` makes of the content of a JSON file.

    Parameters
    ----------
    path
    parse
        Called with the decoded content; may raise `ValueError`, `TypeError`, `KeyError` or `AttributeError`.

    Raises
    ------
    StoreError
        If the file can't be read, or `parse` fails: it is missing or damaged.
    """
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{path}: can't be read: {error!r}; fit again") from None


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what `read_state` reads.

    The file is written under another name and renamed, so `path` never holds a partial file.

    Parameters
    ----------
    path
    state
        Values that JSON has: text, finite numbers, lists and mappings of them, None.
    """
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(json.dumps(state, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(beside, path)
