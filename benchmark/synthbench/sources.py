"""What code made an artifact: hashes of the source of plugins and of the core, without importing either."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from synthbench.errors import PluginError
from synthbench.plugin.registry import Registered, distribution_version

PROTOCOL = 1
"""Raised when the meaning of a result changes though no hashed source does."""

_CORE = Path(__file__).parent
_CORE_PARTS = {
    "train": ("samples.py", "plugin/api.py", "toolkit"),
    "encode": ("samples.py", "plugin/api.py", "metrics", "tasks/encode.py"),
    "assess": ("metrics", "tasks/assess.py"),
    "evaluate": ("metrics", "tasks/evaluate.py", "samples.py"),
    "dataset": ("samples.py", "datasets"),
}


@cache
def core_source(part: str) -> str:
    """Return the SHA-256 of the core's modules that a kind of work depends on."""
    return hash_files(_CORE / name for name in _CORE_PARTS[part])


def plugin_source(entry: Registered) -> str:
    """Return the SHA-256 of every Python file of the plugin's import package, helpers included.

    Raises
    ------
    PluginError
        If the package can't be found.
    """
    return _package_source(entry.spec.target.partition(":")[0].partition(".")[0])


def plugin_versions(entry: Registered) -> dict[str, str | None]:
    """Return the versions of the distributions that the plugin says it needs."""
    return {name: distribution_version(name) for name in entry.spec.requires}


@cache
def _package_source(package: str) -> str:
    found = importlib.util.find_spec(package)
    if found is None or (not found.submodule_search_locations and not found.origin):
        raise PluginError(f"the package {package!r} can't be found; is it installed?")
    if found.submodule_search_locations:
        return hash_files(Path(folder) for folder in found.submodule_search_locations)
    assert found.origin is not None
    return hash_files([Path(found.origin)])


def hash_files(roots: Iterable[Path]) -> str:
    """Return the SHA-256 over the names and bytes of the Python files at and below `roots`."""
    out = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            name = path.relative_to(root).as_posix() if root.is_dir() else path.name
            out.update(f"{name}\0".encode())
            out.update(hashlib.sha256(path.read_bytes()).digest())
    return out.hexdigest()
