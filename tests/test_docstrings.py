"""Docstrings of the public names are numpydoc that its own validation accepts."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "benchmark" / "synthbench"
CHECKS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]["checks"]
OFF = frozenset(CHECKS[1:])
"""As numpydoc reads its own setting: "all", but for these."""


def public_modules() -> Iterator[str]:
    """Yield the modules of the core that list their public names in ``__all__`` and are not private."""
    for path in sorted(CORE.rglob("*.py")):
        parts = path.relative_to(CORE.parent).with_suffix("").parts
        private = any(part.startswith("_") and part != "__init__" for part in parts)
        if not private and "__all__" in path.read_text(encoding="utf-8"):
            yield ".".join(parts).removesuffix(".__init__")


def public_names(module: str) -> Iterator[str]:
    """Yield the functions and classes that a module lists in ``__all__``."""
    namespace = importlib.import_module(module)
    for name in namespace.__all__:
        value = getattr(namespace, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module}.{name}"


def test_numpydoc_reads_its_setting_as_this_file_does() -> None:
    assert CHECKS[0] == "all"


@pytest.mark.parametrize("module", list(public_modules()))
def test_docstrings_of_public_names_are_numpydoc(module: str) -> None:
    validate = pytest.importorskip("numpydoc.validate").validate
    errors = [
        f"{name}: {code} {message}"
        for name in public_names(module)
        for code, message in validate(name)["errors"]
        if code not in OFF
    ]
    assert errors == []
