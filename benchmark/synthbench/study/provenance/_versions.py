"""Versions of what a computation imports, as far as they can change a number: major and minor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from synthbench.plugin import hookspecs
from synthbench.plugin.registry import Registered, distribution_version
from synthbench.study.provenance import _distributions as distributions
from synthbench.study.provenance._code import core_files, package_roots, top_names, used

__all__ = ["CORE", "NUMERIC", "core_versions", "plugin_versions"]

CORE = "synthbench"
NUMERIC = ("torch", "monai", "numpy", "scipy", "scikit-image")
"""What most methods compute with, if only by way of another library: part of every key of what trains or predicts."""

_NO_NUMBERS = {"pydantic", "pluggy", "safetensors", "rich"}
"""They check, keep and show what is in the key, or in the weights, anyway."""


def plugin_versions(entry: Registered) -> dict[str, str | None]:
    """Return the versions of the distributions that a plugin computes with.

    They are those that its modules import, or modules of the core that it uses; those that it says it needs; and, of
    what trains or predicts, `NUMERIC`. One that isn't installed is left out, unless the plugin says it needs it: a
    library that may be used where it is there makes results new when it comes.
    """
    roots = package_roots(entry.spec.package, entry.distribution)
    core = sorted(used(roots) - set(core_files("train")))
    always = () if entry.spec.kind == "dataset" else NUMERIC
    names = {distributions.normal(name) for name in always} | _imported([*roots, *core], entry.distribution)
    needed = {distributions.normal(name): _version(name) for name in entry.spec.requires}
    return {**_versions(names - _NO_NUMBERS), **needed}


@cache
def core_versions(part: str) -> dict[str, str | None]:
    """Return the versions of the distributions that a kind of work of the core computes with.

    Those that read and check samples aren't among them: what comes of that has a digest.
    """
    files = [path for path in core_files(part) if path not in core_files("train")]
    return _versions(_imported(files, hookspecs.PROJECT) - _NO_NUMBERS)


def _imported(files: Iterable[Path], distribution: str) -> set[str]:
    """Return the distributions, other than this one, of what files import."""
    names = {name for name in top_names(files) if name != CORE and not distributions.is_own(name, distribution)}
    return {owner for name in names for owner in distributions.owners(name)}


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    return {name: version for name in sorted(names) if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    found = distribution_version(name)
    return None if found is None else distributions.minor(found)
