"""What code made an artifact: hashes of the source of plugins and of the core, without importing either."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from synthbench.errors import PluginError
from synthbench.plugin.registry import Registered, distribution_version

PROTOCOL = 1
"""Raised when the meaning of a result changes though no hashed source does."""

_CORE = Path(__file__).parent
_CORE_PARTS = {
    "train": ("samples.py", "plugin/api.py"),
    "encode": ("samples.py", "plugin/api.py", "metrics", "tasks/encode.py"),
    "assess": ("metrics", "tasks/assess.py"),
    "evaluate": ("metrics", "tasks/evaluate.py", "samples.py"),
    "dataset": ("samples.py", "datasets"),
}
_ONLY_TOLD = {_CORE / "errors.py", _CORE / "pictures.py"}
"""What people read and look at: it changes no result."""


@cache
def core_source(part: str) -> str:
    """Return the SHA-256 of the core's modules that a kind of work depends on."""
    return hash_files(_CORE / name for name in _CORE_PARTS[part])


def plugin_source(entry: Registered) -> str:
    """Return the SHA-256 of every Python file of the plugin's import package, helpers included, and of what they use.

    What they use are the modules of the core that they import, at the top or in a function, and those that these
    import in turn: a change in the toolkit makes results new where it was used. Names of `synthbench` itself are the
    contract, which `core_source` has; a module that is imported by a computed name isn't seen.

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
    roots = [Path(folder) for folder in found.submodule_search_locations or [str(found.origin)]]
    return hash_files([*roots, *sorted(_used(roots))])


def _used(roots: Iterable[Path]) -> set[Path]:
    """Return the files of the core that the Python files at and below `roots` import, and those that these import."""
    found: set[Path] = set()
    unread = [path for root in roots for path in _python_files(root)]
    while unread:
        new = set(_imported(unread.pop())) - found - _ONLY_TOLD
        found |= new
        unread += new
    return found


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Return the files of the core that a Python file imports; of a package that is imported whole, all."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it can't be imported either, and says so then
        return ()
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            modules += [name if _file(name) else node.module for name in inner]
    return tuple(path for name in modules for path in _files(name))


def _files(module: str) -> Iterator[Path]:
    """Yield a module's files, and the `__init__.py` of the packages around it, below the core's own."""
    found = _file(module)
    if found is None:
        return
    yield from _python_files(found)
    around = found.parent
    while around != _CORE:
        yield around / "__init__.py"
        around = around.parent


def _file(module: str) -> Path | None:
    """Return the file or the folder of a module below the core, or None of any other."""
    top, _, below = module.partition(".")
    at = _CORE.joinpath(*below.split("."))
    if top != _CORE.name or not below:
        return None
    return at if at.is_dir() else at.with_suffix(".py") if at.with_suffix(".py").is_file() else None


def _python_files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]


def hash_files(roots: Iterable[Path]) -> str:
    """Return the SHA-256 over the names and bytes of the Python files at and below `roots`."""
    out = hashlib.sha256()
    for root in roots:
        for path in _python_files(root):
            name = path.relative_to(root).as_posix() if root.is_dir() else path.name
            out.update(f"{name}\0".encode())
            out.update(hashlib.sha256(path.read_bytes()).digest())
    return out.hexdigest()
