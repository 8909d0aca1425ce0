"""Reading of JSON files that a fitted plugin saved beside its weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from synthbench.errors import StoreError

__all__ = ["read_state"]

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
