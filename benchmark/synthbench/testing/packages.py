"""Checks of a plugin's package as a whole: light to list, and built on public names only."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from synthbench.plugin.registry import registry
from synthbench.testing.check_results import CheckFailure, CheckResult, plugin_call, require, run_checks

__all__ = [
    "CHECKS",
    "ENGINE_ROOMS",
    "HEAVY",
    "PUBLIC",
    "PUBLIC_ROOMS",
    "Package",
    "imported",
    "is_public",
    "iter_package_checks",
    "listing_stays_light",
    "only_public_names",
    "private_imports",
]

HEAVY = ("torch", "tensorflow", "numpy", "pydantic")
"""What listing plugins must not import."""

PUBLIC = ("synthbench", "synthbench.samples", "synthbench.errors", "synthbench.types")
PUBLIC_ROOMS = ("synthbench.toolkit", "synthbench.datasets", "synthbench.metrics", "synthbench.testing")
"""What a plugin may import of the core: these modules, and every module in these rooms."""

ENGINE_ROOMS = ("synthbench.engine", "synthbench.io", "synthbench.processes", "synthbench.store")
"""What the package of an engine may import beside these."""


@dataclass(frozen=True)
class Package:
    """The import package of a plugin's class, e.g. ``synthbench_unet``."""

    name: str


def iter_package_checks(name: str) -> Iterator[CheckResult]:
    """Yield the results about a plugin's import package."""
    return run_checks(CHECKS, Package(name))


def listing_stays_light(package: Package) -> None:
    """Importing the package imports neither torch, tensorflow, numpy nor pydantic."""
    code = f"import sys, {package.name}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    require(
        done.returncode == 0,
        f"import {package.name} fails in a fresh process: {(done.stderr.strip().splitlines() or ['?'])[-1]}",
    )
    loaded = done.stdout.split()
    require(
        not loaded, f"import {package.name} imports {', '.join(loaded)}: import them in the module that holds the class"
    )


def only_public_names(package: Package) -> None:
    """Of synthbench's own modules the package imports the public ones only."""
    with plugin_call(f"reading the source of {package.name}"):
        wrong = list(private_imports(package.name))
    if wrong:
        raise CheckFailure(
            f"{wrong[0]}: plugins use {', '.join(PUBLIC)} and {', '.join(f'{room}.*' for room in PUBLIC_ROOMS)}, "
            f"and engines also {', '.join(f'{room}.*' for room in ENGINE_ROOMS)}"
        )


def private_imports(package: str) -> Iterator[str]:
    """Yield ``"file.py:3 imports synthbench.store"`` for each import of a core module that is not public."""
    spec = importlib.util.find_spec(package)
    rooms = (*PUBLIC_ROOMS, *(ENGINE_ROOMS if _has_engine(package) else ()))
    places = (spec.submodule_search_locations or [spec.origin or "."]) if spec is not None else []
    for place in map(Path, places):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for line, module in imported(path):
                if module.split(".")[0] == "synthbench" and not is_public(module, rooms):
                    yield f"{path.name}:{line} imports {module}"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything a file imports, also within functions; relative imports are left out.

    ``from a.b import c`` gives ``a.b.c`` where that is a module, else ``a.b``.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield node.lineno, inner if _is_module(inner) else node.module


def is_public(module: str, rooms: Sequence[str] = PUBLIC_ROOMS) -> bool:
    """True for a module of the core that plugins may import, where `rooms` are the packages that are open to them."""
    if any(part.startswith("_") for part in module.split(".")):
        return False
    return module in PUBLIC or any(module == room or module.startswith(f"{room}.") for room in rooms)


def _has_engine(package: str) -> bool:
    return any(entry.spec.package == package for entry in registry().of_kind("engine"))


@cache
def _is_module(name: str) -> bool:
    if not name.startswith("synthbench."):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


CHECKS = (listing_stays_light, only_public_names)
