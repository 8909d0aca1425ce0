"""All plugins that can be used: those of this environment, and those that other environments offer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from synthbench.environments.offers import Offer, offers
from synthbench.environments.registered import environment_named
from synthbench.errors import ConfigError, PluginError, suggest
from synthbench.plugin.registry import Registered, registry

__all__ = ["find_plugin", "has_plugin", "listed_plugins", "plugin_kinds", "split_name"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_AT = re.compile(rf"({_NAME.pattern})@([A-Za-z0-9][A-Za-z0-9._-]{{0,63}})")


def split_name(text: str) -> tuple[str, str]:
    """Return the plugin and the environment of ``NAME@ENV``; of any other text itself, and an empty string."""
    found = _AT.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def has_plugin(kind: str, name: str) -> bool:
    """Whether there is a plugin of this kind and name in any environment, enabled or not."""
    if not _NAME.fullmatch(name):
        return False
    key = (kind, name)
    return key in registry().entries or any(key in offer.entries for offer in offers().values())


def find_plugin(kind: str, name: str, environment: str = "") -> Registered:
    """Return a plugin: of this environment if it is enabled here, else of the first, by name, that has it enabled.

    Parameters
    ----------
    kind, name
    environment
        The environment to take it from, by name.

    Raises
    ------
    PluginError
        If there is none, or its environment can't be used; the message suggests what comes near.
    ConfigError
        If there is no environment of that name.
    """
    if environment:
        try:
            offer = offers().get(environment) or Offer(environment_named(environment))
        except ConfigError as error:
            raise ConfigError(f"{kind} {name!r}: {error}") from None
        return _of(offer, kind, name)
    here = registry().entries.get((kind, name))
    if here is not None and not here.disabled_reason:
        return here
    for offer in offers().values():
        entry = offer.entries.get((kind, name))
        if entry is not None and not entry.disabled_reason:
            return entry
    if here is not None:
        return here
    disabled = [entry for offer in offers().values() if (entry := offer.entries.get((kind, name))) is not None]
    if disabled:
        return disabled[0]
    unusable = "".join(f"; environment {n!r}: {offer.problem}" for n, offer in offers().items() if offer.problem)
    return registry().get(kind, name, [known for each, known in _keys() if each == kind], unusable)


def _of(offer: Offer, kind: str, name: str) -> Registered:
    where = f"environment {offer.environment.name!r}"
    if offer.problem:
        raise PluginError(f"{where}: {offer.problem}")
    if (kind, name) not in offer.entries:
        known = [other for each, other in offer.entries if each == kind]
        hint = suggest(name, known) or f"; it has: {', '.join(sorted(known)) or 'none'}"
        broken = "".join(f"; the plugin {p.plugin!r} is disabled there: {p.reason}" for p in offer.problems[:1])
        raise PluginError(f"{where} has no {kind} {name!r}{hint}{broken}")
    return offer.entries[kind, name]


def _keys() -> list[tuple[str, str]]:
    """Return kind and name of all plugins, those of this environment first."""
    keys = list(registry().entries)
    for offer in offers().values():
        keys += [key for key in offer.entries if key not in keys]
    return keys


def plugin_kinds(name: str, environment: str = "") -> list[str]:
    """Return the kinds that have a plugin of this name, in an environment or in any.

    Raises
    ------
    PluginError
        If there is none.
    ConfigError
        If there is no environment of that name.
    """
    if environment:
        offer = offers().get(environment) or Offer(environment_named(environment))
        if offer.problem:
            raise PluginError(f"environment {environment!r}: {offer.problem}")
        keys, broken = list(offer.entries), ""
    else:
        keys, broken = _keys(), registry().of_problems()
    kinds = [kind for kind, known in keys if known == name]
    if not kinds:
        hint = suggest(name, {known for _, known in keys}) or "; 'synthbench list' shows them all"
        where = f" in environment {environment!r}" if environment else ""
        raise PluginError(f"unknown plugin {name!r}{where}{hint}{broken}")
    return kinds


def listed_plugins(kind: str) -> Iterator[Registered]:
    """Yield the plugins of a kind for a list.

    Those of other environments are left out where the plugin is enabled here; what is disabled here is left out where
    an environment has it enabled.
    """
    here = {entry.spec.name: entry for entry in registry().of_kind(kind)}
    there = [
        entry
        for offer in offers().values()
        for (its, name), entry in offer.entries.items()
        if its == kind and (name not in here or here[name].disabled_reason)
    ]
    enabled = {entry.spec.name for entry in there if not entry.disabled_reason}
    for name, entry in here.items():
        if name not in enabled:
            yield entry
    for entry in there:
        if not entry.disabled_reason or (entry.spec.name not in here and entry.spec.name not in enabled):
            yield entry
