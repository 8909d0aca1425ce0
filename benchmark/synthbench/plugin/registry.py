"""Finding plugins: entry points, guarded so that a broken one disables itself alone.

Imports no plugin class until it is asked for: listing costs as much as reading the entry points.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from synthbench.errors import PluginError, suggest
from synthbench.plugin import hookspecs
from synthbench.plugin.distribution_sources import environment_command
from synthbench.plugin.specs import KINDS, Spec

__all__ = [
    "EntryPoint",
    "Problem",
    "Registered",
    "Registry",
    "discover",
    "distribution_version",
    "one_line",
    "registry",
]

if TYPE_CHECKING:
    from packaging.requirements import Requirement


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that the registry reads."""

    @property
    def name(self) -> str: ...
    @property
    def dist(self) -> Any: ...
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
    environment : str
        Name of the environment that it is installed in; an empty string for this one.
    reason : str or None
        Why it can't be used, as another environment says of its own plugin; None for a plugin of this environment.
    """

    spec: Spec
    distribution: str
    version: str
    environment: str = ""
    reason: str | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Required distributions that are not installed, or not in the version asked for."""
        return tuple(name for name in (*self.spec.requires, *self.spec.environment) if not _satisfied(name))

    @property
    def disabled_reason(self) -> str:
        """Why it can't be used: one line, or an empty string when it can."""
        if self.reason is not None:
            return self.reason
        if self.missing:
            way = self.spec.install or f"pip install {' '.join(map(_quoted, self.missing))}"
            if self.spec.environment:
                way = environment_command(self.spec.environment, self.distribution)
            return f"needs {', '.join(self.missing)}: {way}"
        return _target_problem(self.spec.target)


@dataclass(frozen=True)
class Problem:
    """A plugin that is disabled, and why: one line."""

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
        """Yield what is registered of a kind: ``generator``, ``segmenter``, ``encoder``, ``dataset`` …."""
        return (entry for (its, _), entry in self.entries.items() if its == kind)

    def names(self, kind: str) -> list[str]:
        """Return the names of the plugins of a kind, in the order of `of_kind`."""
        return [entry.spec.name for entry in self.of_kind(kind)]

    def get(self, kind: str, name: str, known: Sequence[str] = (), more: str = "") -> Registered:
        """Return a plugin by kind and name.

        Parameters
        ----------
        kind, name
        known
            Names to suggest where there is none; by default those of the kind.
        more
            What to add to the message then.

        Raises
        ------
        PluginError
            If there is none; the message gives the nearest name and the broken plugins.
        """
        try:
            return self.entries[kind, name]
        except KeyError:
            known = known or self.names(kind)
            hint = suggest(name, known) or f"; there are: {', '.join(sorted(known)) or 'none'}"
            broken = self.of_problems()
            raise PluginError(f"unknown {kind} {name!r}{hint}{broken}{more}") from None

    def of_problems(self) -> str:
        """Return what to add to a message about a name that isn't there: a broken plugin may have had it."""
        if len(self.problems) > 1:
            return f"; {len(self.problems)} plugins are disabled, 'synthbench list' says why"
        return "".join(f"; the plugin {p.plugin!r} is disabled: {p.reason}" for p in self.problems)

    def load(self, kind: str, name: str) -> type:
        """Import a plugin's class.

        Raises
        ------
        PluginError
            If it is unknown, lacks a requirement, can't be imported, or isn't a subclass of its kind's base.
        """
        entry = self.get(kind, name)
        if entry.disabled_reason:
            raise PluginError(f"{kind} {name!r} is disabled: {entry.disabled_reason}")
        module_name, _, class_name = entry.spec.target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{kind} {name!r}: {module_name} can't be imported: {one_line(error)}") from error
        return _checked_class(module, class_name, kind, name)


_BASES = {
    "generator": ("synthbench.plugin.api", "Generator"),
    "segmenter": ("synthbench.plugin.api", "Segmenter"),
    "encoder": ("synthbench.plugin.api", "Encoder"),
    "dataset": ("synthbench.plugin.api", "Dataset"),
    "engine": ("synthbench.engine.base", "Engine"),
    "logger": ("synthbench.loggers.base", "Logger"),
}
"""Where the base class of each kind is: as strings, like targets of specs, so that listing plugins imports none."""


def _checked_class(module: ModuleType, class_name: str, kind: str, name: str) -> type:
    base_module, base_name = _BASES[kind]
    base: type = getattr(importlib.import_module(base_module), base_name)
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
            with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is no part of an answer
                module = point.load()
            specs = _specs_of(module, point.name)
            _refuse_taken(specs, found)
        except (Exception, SystemExit) as error:  # a stranger's import may raise anything
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
    marked = {a for a in dir(plugin) if manager.parse_hookimpl_opts(plugin, a) is not None}
    meant = {a for a in dir(plugin) if a.startswith("synthbench_") and callable(getattr(plugin, a))}
    for attribute in sorted(marked | meant):
        if attribute not in hookspecs.HOOKS:
            raise PluginError(f"no hook is called {attribute!r}{suggest(attribute, hookspecs.HOOKS)}")
        if attribute not in marked:
            raise PluginError(f"{attribute} is not marked with @synthbench.hookimpl")
    if not marked:
        raise PluginError(f"implements no hook; the hooks are {', '.join(hookspecs.HOOKS)}")
    manager.register(plugin, name=name)
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
    if isinstance(error, PluginError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@cache
def _target_problem(target: str) -> str:
    """Say why a spec's class can't be there, without importing its module; an empty string when it can."""
    module_name, _, class_name = target.partition(":")
    try:
        found = importlib.util.find_spec(module_name)
    except (Exception, SystemExit) as error:
        return f"{module_name} can't be found: {one_line(error)}"
    if found is None:
        return f"there is no module {module_name}; fix the spec's target"
    if not found.has_location or not (found.origin or "").endswith(".py"):
        return ""
    text = Path(str(found.origin)).read_text(encoding="utf-8", errors="replace")
    if re.search(rf"\b{class_name}\b|import \*|^def __getattr__", text, re.MULTILINE):
        return ""
    return f"{module_name} has no {class_name}; fix the spec's target"


@cache
def _satisfied(requirement: str) -> bool:
    """Whether an installed distribution meets a requirement, or its marker exempts this environment."""
    parsed = _parsed(requirement)
    if parsed is None:
        return False
    if parsed.marker is not None and not parsed.marker.evaluate():
        return True
    installed = distribution_version(requirement)
    return installed is not None and parsed.specifier.contains(installed, prereleases=True)


def _parsed(requirement: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement)
    except InvalidRequirement:
        return None


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if set(requirement) & set("<>=!~[; ") else requirement


@cache
def distribution_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None; `name` may be a requirement, whose range is ignored."""
    parsed = _parsed(name)
    try:
        return importlib.metadata.version(parsed.name) if parsed else None
    except importlib.metadata.PackageNotFoundError:
        return None
