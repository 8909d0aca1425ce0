"""The files of this repository, and what its modules import."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from synthbench.testing.packages import imported

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "benchmark" / "synthbench"
SOURCES = sorted(CORE.rglob("*.py"))
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
DOCS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Return line and name of each module that a file imports."""
    return list(imported(path))
