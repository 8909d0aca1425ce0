"""What code made an artifact: hashes of the source of plugins and of the core, without importing either."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from synthbench.errors import PluginError
from synthbench.plugin.exports import MODULE
from synthbench.plugin.registry import Registered
from synthbench.study.provenance import _distributions as distributions
from synthbench.study.provenance._sources import source
from synthbench.study.provenance._syntax_trees import Import

__all__ = [
    "CORE",
    "NOT_HASHED",
    "PROTOCOL",
    "clear_caches",
    "core_files",
    "core_source",
    "package_roots",
    "plugin_source",
    "top_names",
    "used",
]

PROTOCOL = 1
"""Raised when the meaning of a result changes though no hashed source does."""

CORE = Path(__file__).parents[2]
_SAMPLES = ("samples/sample.py", "samples/entries.py", "samples/sample_set.py", "io/images.py")
_CORE_PARTS = {
    "train": (*_SAMPLES, "plugin/api"),
    "encode": (*_SAMPLES, "plugin/api", "metrics", "engine/tasks/encode.py"),
    "assess": (*_SAMPLES, "metrics", "engine/tasks/assess.py"),
    "evaluate": (*_SAMPLES, "metrics", "engine/tasks/evaluate.py"),
    "dataset": (*_SAMPLES, "datasets"),
    "scale": ("study/scaling.py",),
    "object-sizes": ("study/scaling.py", "study/_object_sizes.py"),
}
NOT_HASHED = {CORE / "errors.py", CORE / "samples" / "pictures.py"}
"""What people read and look at: it changes no result."""

_NO_DATA = (".pyc", ".pyo", ".pyi", ".md", ".rst", "~")
_NO_DATA_NAMES = ("py.typed",)
_EXPORT = f"{MODULE}.py"
"""The module of a package that is imported for an export alone."""


@cache
def core_source(part: str) -> str:
    """Return the SHA-256 of the core's modules that a kind of work depends on."""
    return _hash(core_files(part))


def core_files(part: str) -> list[Path]:
    """Return the files and folders of the core that a kind of work depends on."""
    return [CORE / name for name in _CORE_PARTS[part]]


def plugin_source(entry: Registered) -> str:
    """Return the SHA-256 of the plugin's import package, and of what its modules use.

    Python files count by their syntax trees, so comments and docstrings don't; other files of the package, like tables
    and templates, by their bytes. What its modules use are packages of the same distribution, or of none, and the
    modules of the core that they import, at the top or in a function, and those that these import in turn: a change in
    the toolkit makes results new where it was used. Names of `synthbench` itself are the contract, which `core_source`
    has; a module that is imported by a computed name isn't seen.

    Raises
    ------
    PluginError
        If the package can't be found.
    """
    return _package_source(entry.spec.package, entry.distribution)


@cache
def _package_source(package: str, distribution: str) -> str:
    roots = package_roots(package, distribution)
    return _hash([*roots, *sorted(used(roots))])


@cache
def package_roots(package: str, distribution: str) -> tuple[Path, ...]:
    """Return the folder or file of a plugin's package, and those of packages beside it that it imports.

    Raises
    ------
    PluginError
        If the package can't be found.
    """
    found = _roots(package, bare=True)
    if not found:
        raise PluginError(f"the package {package!r} can't be found; is it installed?")
    seen, unread = {package}, [package]
    roots = list(found)
    while unread:
        for name in sorted(top_names(_roots(unread.pop(), bare=True)) - seen):
            seen.add(name)
            if distributions.is_own(name, distribution) and (more := _roots(name)):
                roots += more
                unread.append(name)
    return tuple(roots)


def clear_caches() -> None:
    """Forget which packages there are, so that those installed or changed since are found as by a new process."""
    importlib.invalidate_caches()
    for cached in (_package_source, package_roots):
        cached.cache_clear()
    distributions.clear_caches()


def top_names(paths: Iterable[Path]) -> set[str]:
    """Return the names of the top-level packages that Python files at and below `paths` import."""
    return {found.module.partition(".")[0] for path in paths for file in _python_files(path) for found in _seen(file)}


def used(roots: Iterable[Path]) -> set[Path]:
    """Return the files of the core that the Python files at and below `roots` import, and those that these import."""
    found: set[Path] = set()
    unread = [path for root in roots for path in _python_files(root)]
    while unread:
        new = {path for item in _seen(unread.pop()) for path in _core_files(item)} - found - NOT_HASHED
        found |= new
        unread += new
    return found


def _seen(path: Path) -> tuple[Import, ...]:
    return source(path).imports


def _roots(package: str, *, bare: bool = False) -> list[Path]:
    """Return where a package is; `bare`: also where it has no ``__init__.py``, as any folder may look like one."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if found is None or not (found.has_location or (bare and found.submodule_search_locations)):
        return []
    roots = [Path(folder) for folder in found.submodule_search_locations or [str(found.origin)]]
    return [root for root in roots if root.is_dir() or root.suffix == ".py"]


def _core_files(item: Import) -> Iterator[Path]:
    """Yield the files of the core that an import reaches; of a package that is imported whole, all."""
    for name in item.names or ("",):
        inner = f"{item.module}.{name}" if name else item.module
        yield from _files(inner if _file(inner) else item.module)


def _files(module: str) -> Iterator[Path]:
    """Yield a module's files, and the `__init__.py` of the packages around it, below the core's own."""
    found = _file(module)
    if found is None:
        return
    yield from _python_files(found)
    around = found.parent
    while around != CORE:
        yield around / "__init__.py"
        around = around.parent


def _file(module: str) -> Path | None:
    """Return the file or the folder of a module below the core, or None of any other."""
    top, _, below = module.partition(".")
    at = CORE.joinpath(*below.split("."))
    if top != CORE.name or not below:
        return None
    return at if at.is_dir() else at.with_suffix(".py") if at.with_suffix(".py").is_file() else None


def _python_files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*.py")) if path != root / _EXPORT] if root.is_dir() else [root]


def _hash(roots: Iterable[Path]) -> str:
    """Return the SHA-256 over the names and contents of the files at and below `roots`."""
    out = hashlib.sha256()
    for root in roots:
        for path in _counting(root):
            name = path.relative_to(root).as_posix() if root.is_dir() else path.name
            out.update(f"{name}\0{_digest(path)}\n".encode())
    return out.hexdigest()


def _digest(path: Path) -> str:
    if path.suffix == ".py":
        return source(path).digest
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _counting(root: Path) -> list[Path]:
    """Return the files of a package that can change a result: not what is compiled, hidden, or read by people alone."""
    if not root.is_dir():
        return [root]
    return sorted(
        path
        for path in root.rglob("*")
        if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(root).parts)
        and not path.name.endswith(_NO_DATA)
        and path.name not in _NO_DATA_NAMES
        and path != root / _EXPORT
        and path.is_file()
    )
