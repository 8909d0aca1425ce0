"""Documentation of a plugin for users: its description, its budgets, and the keys of its configuration."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from synthbench.plugin.api import Budget, Config
from synthbench.plugin.registry import registry

__all__ = ["Option", "PluginDocs", "kind_of", "plugin_docs"]

_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
"""Heading of a numpydoc section."""


@dataclass(frozen=True)
class Option:
    """A key of a plugin's configuration.

    Attributes
    ----------
    name : str
    default : object
        As in JSON; None if the budget or the data determine it.
    kind : str
        The values that it takes, such as ``"int"`` or ``'{"a", "b"}'``.
    description : str
        Description of the field, which may be inherited from a base class; may be empty.
    resolved : mapping
        Where it is open: what it becomes by budget, name → value. Empty else.
    """

    name: str
    default: Any
    kind: str
    description: str
    resolved: Mapping[str, Any]


@dataclass(frozen=True)
class PluginDocs:
    """Documentation of a plugin.

    Attributes
    ----------
    kind, name, source : str
        `source` is the distribution and its version.
    tasks : tuple of str
    description : str
        The docstring of its class without numpydoc sections, in paragraphs.
    budgets : mapping
        Name → `Budget`; empty if it doesn't train.
    options : tuple of Option
    supports_ignore : bool
        Whether it accepts samples with pixels of unknown label.
    """

    kind: str
    name: str
    source: str
    tasks: tuple[str, ...]
    description: str
    budgets: Mapping[str, Budget]
    options: tuple[Option, ...]
    supports_ignore: bool = False


def plugin_docs(kind: str, name: str) -> PluginDocs:
    """Return the documentation of an installed plugin; its class is imported.

    Raises
    ------
    PluginError
        If it is unknown or disabled.
    """
    entry = registry().get(kind, name)
    cls: Any = registry().load(kind, name)
    budgets: dict[str, Budget] = dict(getattr(cls, "budgets", {}))
    config = cls.Config()
    default = config.model_dump(mode="json")
    by_budget = {name: config.resolve(budget).model_dump(mode="json") for name, budget in budgets.items()}
    options = []
    for key, info in cls.Config.model_fields.items():
        resolved = {name: values[key] for name, values in by_budget.items()} if default[key] is None else {}
        resolved = {name: value for name, value in resolved.items() if value is not None}
        options.append(Option(key, default[key], kind_of(info.annotation), _description(cls.Config, key), resolved))
    docstring = inspect.cleandoc(cls.__doc__ or "")
    first_section = _SECTION.search(docstring)
    return PluginDocs(
        kind,
        name,
        f"{entry.distribution} {entry.version}",
        tuple(sorted(entry.spec.tasks)),
        (docstring[: first_section.start()] if first_section else docstring).strip(),
        budgets,
        tuple(options),
        bool(getattr(cls, "supports_ignore", False)),
    )


def _description(config: type[Config], key: str) -> str:
    """Return the description of a key; if its class gives none, that of the nearest base class that does."""
    classes = (each for each in config.__mro__ if issubclass(each, Config) and key in each.model_fields)
    return next(filter(None, (each.model_fields[key].description for each in classes)), "")


def kind_of(annotation: Any) -> str:
    """Return the values that a type hint allows, in words: ``'{"a", "b"}'``, ``"float, optional"``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "{" + ", ".join(json.dumps(value) for value in arguments) + "}"
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, UnionType):
        kinds = [kind_of(each) for each in arguments if each is not type(None)]
        return " or ".join(kinds) + (", optional" if type(None) in arguments else "")
    if origin is not None:
        return f"{kind_of(origin)} of {', '.join(dict.fromkeys(kind_of(each) for each in arguments))}"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")
