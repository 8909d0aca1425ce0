"""Which distribution brings a package that is imported, and in what version; nothing is imported for it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from functools import cache

__all__ = ["clear_caches", "is_own", "minor", "normal", "owners"]

_OTHERWISE = {
    "skimage": "scikit-image",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "yaml": "PyYAML",
}
"""Distributions that are called otherwise than what they bring: known here, they needn't be searched for."""


@cache
def owners(name: str) -> tuple[str, ...]:
    """Return the normalised names of the distributions that bring a top-level package; empty for the standard library.

    One of the same name that says it brings the package is taken at its word: to ask every distribution takes longer.
    """
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return ()
    guess = _OTHERWISE.get(name, name)
    if _brings(guess, name):
        return (normal(guess),)
    return tuple(sorted({normal(owner) for owner in _all().get(name, ())})) if _there(name) else ()


def is_own(name: str, distribution: str) -> bool:
    """Whether a top-level package is of this distribution or of none: whose version doesn't tell of its changes."""
    if name == "synthbench" or name in sys.stdlib_module_names:
        return False
    if _brings(distribution, name):
        return True
    found = owners(name)
    return _there(name) if not found else normal(distribution) in found


def minor(version: str) -> str:
    """Return major and minor of a version: ``"2.10.0+cu128"`` gives ``"2.10"``."""
    found = re.match(r"\d+(?:\.\d+)?", version)
    return found[0] if found else version


def normal(name: str) -> str:
    """Return a distribution's name in the one spelling that stands for all; a range of versions is dropped."""
    bare = re.split(r"[\s<>=!~;\[]", name, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", bare).lower()


@cache
def _brings(distribution: str, name: str) -> bool:
    try:
        found = importlib.metadata.distribution(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    if name in (found.read_text("top_level.txt") or "").split():
        return True
    record = found.read_text("RECORD") or ""
    return f"\n{name}/__init__.py," in f"\n{record}" or f"\n{name}.py," in f"\n{record}"


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@cache
def _all() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def clear_caches() -> None:
    """Forget which distributions there are, and what they bring."""
    for cached in (owners, _brings, _all):
        cached.cache_clear()
