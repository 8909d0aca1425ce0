"""Finding plugins: entry points, guarded so that a broken one disables itself alone.

Imports no plugin class until it is asked for: listing costs as much as reading the entry points.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any, Protocol

import pluggy

from synthbench.errors import PluginError, nearest
from synthbench.plugin import hookspecs
from synthbench.plugin.specs import KINDS, Spec


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that the registry reads."""

    name: str
    value: str
    dist: Any

    def load(self) -> Any: ...


@dataclass(frozen=True)
class Registered:
    """A spec and where it comes from.

    Attributes
    ----------
    spec : Spec
    distribution : str
        Name of the distribution that brought it.
    version : str
        That distribution's version.
    """

    spec: Spec
    distribution: str
    version: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Required distributions that are not installed."""
        return tuple(name for name in self.spec.requires if distribution_version(name) is None)

    @property
    def off(self) -> str:
        """Why it can't be used: one line, or an empty string when it can."""
        if not self.missing:
            return ""
        way = self.spec.install or f"pip install {' '.join(self.missing)}"
        return f"needs {', '.join(self.missing)}: {way}"


@dataclass(frozen=True)
class Problem:
    """A plugin that is off, and why: one line."""

    plugin: str
    distribution: str
    reason: str


@dataclass
class Registry:
    """The plugins that are installed.

    Attributes
    ----------
    entries : dict
        ``(kind, name)`` → `Registered`, in the order of discovery.
    problems : list of Problem
        Plugins that disabled themselves.
    """

    entries: dict[tuple[str, str], Registered] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def of_kind(self, kind: str) -> Iterator[Registered]:
        """Yield what is registered of a kind: ``generator``, ``segmenter``, ``encoder`` or ``dataset``."""
        return (entry for (its, _), entry in self.entries.items() if its == kind)

    def names(self, kind: str) -> list[str]:
        return [entry.spec.name for entry in self.of_kind(kind)]

    def get(self, kind: str, name: str) -> Registered:
        """Return a plugin by kind and name.

        Raises
        ------
        PluginError
            If there is none; the message gives the nearest name and the broken plugins.
        """
        try:
            return self.entries[kind, name]
        except KeyError:
            known = self.names(kind)
            hint = nearest(name, known) or f"; there are: {', '.join(sorted(known)) or 'none'}"
            broken = "".join(f"; the plugin {p.plugin!r} is off: {p.reason}" for p in self.problems)
            raise PluginError(f"unknown {kind} {name!r}{hint}{broken}") from None

    def load(self, kind: str, name: str) -> type:
        """Import a plugin's class.

        Raises
        ------
        PluginError
            If it is unknown, lacks a requirement, can't be imported, or isn't a subclass of its kind's base.
        """
        entry = self.get(kind, name)
        if entry.off:
            raise PluginError(f"{kind} {name!r} {entry.off}")
        module_name, _, class_name = entry.spec.target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise PluginError(f"{kind} {name!r}: {module_name} can't be imported: {one_line(error)}") from error
        return _checked_class(module, class_name, kind, name)


def _checked_class(module: ModuleType, class_name: str, kind: str, name: str) -> type:
    from synthbench.plugin import api

    base: type = {
        "generator": api.Generator,
        "segmenter": api.Segmenter,
        "encoder": api.Encoder,
        "dataset": api.Dataset,
    }[kind]
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        what = f"is no subclass of synthbench.{base.__name__}" if found is not None else "is not there"
        raise PluginError(f"{kind} {name!r}: {module.__name__}:{class_name} {what}")
    return found


@cache
def registry() -> Registry:
    """Return the installed plugins (found once per process)."""
    return discover(importlib.metadata.entry_points(group=hookspecs.GROUP))


def discover(entry_points: Iterable[EntryPoint]) -> Registry:
    """Load entry points one by one; each that fails becomes a `Problem`, and the rest goes on.

    The order is fixed, so that which of two plugins keeps a contested name doesn't depend on the machine:
    synthbench's own first, then by name of distribution and of entry point.
    """
    found = Registry()
    for point in sorted(entry_points, key=_order):
        name, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        try:
            specs = _specs_of(point.load(), point.name)
            _refuse_taken(specs, found)
        except Exception as error:  # a stranger's import may raise anything
            found.problems.append(Problem(point.name, name, one_line(error)))
            continue
        for spec in specs:
            found.entries[spec.kind, spec.name] = Registered(spec, name, version)
    return found


def _order(point: EntryPoint) -> tuple[bool, str, str]:
    name = point.dist.name if point.dist else ""
    return (name != hookspecs.PROJECT, name, point.name)


def _specs_of(plugin: Any, name: str) -> list[Spec]:
    """Return the specs of one plugin, asked through a plugin manager of its own."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for attribute in dir(plugin):
        if attribute.startswith("synthbench_") and attribute not in hookspecs.HOOKS and callable(getattr(plugin, attribute)):
            raise PluginError(f"no hook is called {attribute!r}{nearest(attribute, hookspecs.HOOKS)}")
    manager.register(plugin, name=name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError("implements no hook; mark its functions with @synthbench.hookimpl")
    specs: list[Spec] = []
    for hook, kind in hookspecs.HOOKS.items():
        for answer in getattr(manager.hook, hook)():
            specs.extend(_typed(answer, hook, KINDS[kind]))
    return specs


def _typed(answer: Any, hook: str, kind: type[Spec]) -> Sequence[Spec]:
    try:
        specs = list(answer)
    except TypeError:
        raise PluginError(f"{hook} gave {type(answer).__name__}; yield {kind.__name__} from it") from None
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(f"{hook} yielded {type(spec).__name__}; yield {kind.__name__}")
    return specs


def _refuse_taken(specs: Sequence[Spec], found: Registry) -> None:
    seen: set[tuple[str, str]] = set()
    for spec in specs:
        key = (spec.kind, spec.name)
        if key in seen:
            raise PluginError(f"offers the {spec.kind} {spec.name!r} twice")
        if key in found.entries:
            raise PluginError(f"the {spec.kind} name {spec.name!r} is taken by {found.entries[key].distribution}")
        seen.add(key)


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type, unless it is one of synthbench's own, and its message."""
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}" if text else type(error).__name__


@cache
def distribution_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None. A version range in `name` is ignored."""
    bare = re.split(r"[\s<>=!~;\[]", name, maxsplit=1)[0]
    try:
        return importlib.metadata.version(bare)
    except importlib.metadata.PackageNotFoundError:
        return None
