"""Python files, as their syntax trees say them; remembered beside the bytecode, since parsing takes the most time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path

from synthbench.errors import DataError
from synthbench.io.atomic import atomic_write
from synthbench.study.provenance import _syntax_trees as syntax_trees
from synthbench.study.provenance._syntax_trees import Import, Source

__all__ = ["source"]


def source(path: Path) -> Source:
    """Read a Python file.

    Raises
    ------
    OSError
        If it can't be read.
    """
    state = path.stat()
    return _source(path, state.st_size, state.st_mtime_ns)


@cache
def _source(path: Path, size: int, changed_ns: int) -> Source:
    content = path.read_bytes()
    rules = Path(syntax_trees.__file__).read_bytes()
    state = hashlib.sha256(rules + b"\0" + content).hexdigest()
    if (found := _recall(path, state)) is None:
        found = syntax_trees.parse(content)
        _remember(path, state, found)
    return found


def _recall(path: Path, state: str) -> Source | None:
    try:
        found = json.loads(_beside(path).read_bytes())
        if found["state"] != state:
            return None
        imports = tuple(Import(module, tuple(names)) for module, names in found["imports"])
        return Source(found["digest"], imports)
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError):
        return None


def _remember(path: Path, state: str, found: Source) -> None:
    """Write where Python may keep its bytecode; nothing, if it may not."""
    if sys.dont_write_bytecode:
        return
    imports = [[each.module, each.names] for each in found.imports]
    with contextlib.suppress(OSError, DataError, NotImplementedError):
        file = _beside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps({"state": state, "digest": found.digest, "imports": imports}))


def _beside(path: Path) -> Path:
    return Path(cache_from_source(str(path))).with_suffix(".synthbench.json")
