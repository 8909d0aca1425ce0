"""What a run leaves in ``progress/`` of its folder: the tasks that it is at, and how far it is with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthbench.errors import DataError
from synthbench.io.atomic import atomic_write

__all__ = ["CLAIM_KIND", "FOLDER", "FORMAT", "NOW", "PAGE", "TASKS", "read_file", "write_file"]

FORMAT = 1
FOLDER = "progress"
TASKS = "tasks.json"
"""Written when the run begins with a plan: the tasks and trainings of this plan, the store, who runs it."""

NOW = "now.json"
"""Written again and again: what is running, what has failed, and how the run ended."""

PAGE = "progress.html"
CLAIM_KIND = "run"
"""Kind of the claim that a run holds as long as it lives; the key stands for its folder."""


def write_file(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write one of the files of a run folder atomically."""
    (folder / FOLDER).mkdir(exist_ok=True)
    atomic_write(folder / FOLDER / name, json.dumps({"format": FORMAT, **content}, ensure_ascii=False) + "\n")


def read_file(folder: Path, name: str) -> dict[str, Any] | None:
    """Return what a file of a run folder holds, or None if there is none.

    Raises
    ------
    DataError
        If it can't be read, or is of another version.
    """
    path = folder / FOLDER / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: can't be read; the same 'synthbench run' command writes it again") from None
    if version != FORMAT:
        raise DataError(f"{path}: has format {version}, and this version reads {FORMAT}; use the version that wrote it")
    return dict(content)
