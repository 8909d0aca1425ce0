"""What an environment has answered, remembered in its folder until something changes there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synthbench.environments.registered import Environment
from synthbench.version import __version__

__all__ = ["MEMO", "PROBLEM_LASTS", "read_memo", "write_memo"]

MEMO = "plugins.json"
"""Name of the file."""

PROBLEM_LASTS = 600.0
"""Seconds that an answer is remembered which is a problem: it may have been one of the moment."""


def read_memo(environment: Environment) -> dict[str, Any] | None:
    """Return what an environment has answered; None if something has changed there since."""
    try:
        memo = json.loads((environment.folder / MEMO).read_text(encoding="utf-8"))
        answer: dict[str, Any] = memo["answer"]
        if memo["state"] != _state(environment, answer):
            return None
        return answer if "problem" not in answer or 0 <= time.time() - memo["asked"] < PROBLEM_LASTS else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def write_memo(environment: Environment, answer: Mapping[str, Any]) -> None:
    """Remember what an environment has answered; where that can't be written, it is asked each time."""
    from synthbench.errors import DataError
    from synthbench.io.atomic import atomic_write

    try:
        memo = {"asked": time.time(), "state": _state(environment, answer), "answer": answer}
        atomic_write(environment.folder / MEMO, json.dumps(memo))
    except (DataError, LookupError, TypeError, ValueError):
        return


def _state(environment: Environment, answer: Mapping[str, Any]) -> list[list[Any]]:
    """Return what tells whether files and folders have changed: their sizes and times."""
    rows: list[list[Any]] = [[__version__, environment.python]]
    for path in [environment.python, *(answer["watched"] if "problem" not in answer else _packages(environment))]:
        try:
            found = os.stat(path)
        except OSError:
            rows.append([path])
            continue
        rows.append([path, found.st_size, found.st_mtime_ns])
    return rows


def _packages(environment: Environment) -> Iterable[str]:
    """Return where an environment most likely has its packages."""
    return sorted(map(str, Path(environment.python).parents[1].glob("lib/python*/site-packages")))
