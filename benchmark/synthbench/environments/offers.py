"""Which plugins an environment offers: found by its own interpreter, and remembered until something changes there."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synthbench.environments.memos import read_memo, write_memo
from synthbench.environments.registered import Environment, registered_environments
from synthbench.errors import SynthbenchError
from synthbench.plugin.registry import Problem, Registered, one_line, registry
from synthbench.plugin.specs import KINDS

__all__ = ["PATIENCE", "Offer", "clear_caches", "describe_plugins", "offer_of", "offers"]

PATIENCE = 120.0
"""Seconds that an environment has to list its plugins."""


@dataclass(frozen=True)
class Offer:
    """What an environment offers.

    Attributes
    ----------
    environment : Environment
    problem : str
        Why nothing of it can be used, in one line; an empty string if it can be used.
    python : str
        Version of its Python.
    entries : mapping
        ``(kind, name)`` → `Registered`. Engines are left out: they run in this process.
    problems : tuple of Problem
        Plugins that disabled themselves there.
    """

    environment: Environment
    problem: str = ""
    python: str = ""
    entries: Mapping[tuple[str, str], Registered] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@cache
def offers() -> dict[str, Offer]:
    """Return what each registered environment offers, by its name (read once per process)."""
    return {name: offer_of(environment) for name, environment in registered_environments().items()}


def clear_caches() -> None:
    """Forget what the environments offer, so that it is read again."""
    offers.cache_clear()


def offer_of(environment: Environment, *, afresh: bool = False) -> Offer:
    """Return what an environment offers.

    Parameters
    ----------
    environment
    afresh
        Ask its interpreter also where nothing has changed since it was asked.
    """
    if not environment.python:
        record = environment.folder / "environment.json"
        return Offer(environment, f"{record}: names no interpreter; remove the environment and add it again")
    if not os.access(environment.python, os.X_OK):
        return Offer(environment, f"{environment.python}: no such interpreter; remove the environment, or restore it")
    answer: Mapping[str, Any] | None = None if afresh else read_memo(environment)
    if answer is None:
        answer = _ask(environment)
        write_memo(environment, answer)
    try:
        if problem := answer.get("problem"):
            return Offer(environment, problem)
        problems = tuple(Problem(**problem) for problem in answer["problems"])
        return Offer(environment, "", answer["python"], _entries(answer, environment.name), problems)
    except (LookupError, TypeError, ValueError) as error:
        return Offer(environment, f"its list of plugins can't be read: {one_line(error)}")


def _ask(environment: Environment) -> Mapping[str, Any]:
    """Return the answer of an environment's interpreter, or why there is none."""
    from synthbench.environments.asking import Conversation

    try:
        with Conversation(environment, PATIENCE) as conversation:
            answer = conversation.ask("describe_plugins")
        return answer if isinstance(answer, dict) else {"problem": f"its list of plugins is {type(answer).__name__}"}
    except SynthbenchError as error:
        return {"problem": str(error).removeprefix(f"environment {environment.name!r}: ")}


def _entries(answer: Mapping[str, Any], environment: str) -> dict[tuple[str, str], Registered]:
    entries = {}
    for row in answer["plugins"]:
        spec = KINDS[row["kind"]](**{**row["spec"], "tasks": frozenset(row["spec"]["tasks"])})
        entry = Registered(spec, row["distribution"], row["version"], environment, row["disabled_reason"])
        entries[spec.kind, spec.name] = entry
    return entries


def describe_plugins() -> dict[str, Any]:
    """Return the plugins of this environment as JSON: what its interpreter answers."""
    found = registry()
    plugins = [
        {
            "kind": kind,
            "spec": {**vars(entry.spec), "tasks": sorted(entry.spec.tasks)},
            "distribution": entry.distribution,
            "version": entry.version,
            "disabled_reason": entry.disabled_reason,
        }
        for (kind, _), entry in found.entries.items()
        if kind not in ("engine", "logger")
    ]
    return {
        "python": platform.python_version(),
        "plugins": plugins,
        "problems": [vars(problem) for problem in found.problems],
        "watched": sorted(_watched(entry.spec.target for entry in found.entries.values())),
    }


def _watched(targets: Iterable[str]) -> set[str]:
    """Return the files and folders that the list of plugins depends on.

    They are the folders in which distributions are installed, the modules that were imported to list plugins, and those
    in which their classes are said to be.
    """
    standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}

    def is_standard(path: str) -> bool:
        real = os.path.realpath(path)
        return any(real.startswith(folder + os.sep) for folder in standard) and "site-packages" not in real

    folders = {os.path.abspath(path) for path in sys.path if path and Path(path).is_dir()}
    folders = {path for path in folders if os.path.realpath(path) not in standard and not is_standard(path)}
    files = {str(found) for module in list(sys.modules.values()) if (found := getattr(module, "__file__", None))}
    for target in targets:
        try:
            spec = find_spec(target.partition(":")[0])
        except Exception:  # the registry says what is wrong with it
            continue
        if spec is not None and spec.has_location and spec.origin:
            files.add(spec.origin)
    return folders | {path for path in files if not is_standard(path)}
