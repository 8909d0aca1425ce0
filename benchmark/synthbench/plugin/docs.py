"""Documentation of a plugin for users: its description, its budgets, and the keys of its configuration."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from synthbench.errors import ConfigError
from synthbench.plugin.api import Budget, Config
from synthbench.plugin.config_errors import first_problem
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
        That of a key of a nested configuration is ``group.key``.
    default : object
        As in JSON; None if the budget or the data determine it. With a given configuration: its value there.
    kind : str
        The values that it takes, such as ``"int"`` or ``'{"a", "b"}'``.
    description : str
        Description of the field, which may be inherited from a base class; may be empty.
    resolved : mapping
        Where it is open: what it becomes by budget, name → value, None where it stays open. Empty else.
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
        The docstring of its class without numpydoc sections, in paragraphs; without one, the summary of its spec.
    budgets : mapping
        Name → `Budget`; empty if it doesn't train.
    options : tuple of Option
    supports_ignore : bool
        Whether it accepts samples with pixels of unknown label.
    refused : mapping
        Budgets that don't fit the configuration: name → reason.
    """

    kind: str
    name: str
    source: str
    tasks: tuple[str, ...]
    description: str
    budgets: Mapping[str, Budget]
    options: tuple[Option, ...]
    supports_ignore: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)


def plugin_docs(kind: str, name: str, config: Mapping[str, Any] | None = None) -> PluginDocs:
    """Return the documentation of an installed plugin; its class is imported.

    Parameters
    ----------
    kind, name
    config
        Keys of its configuration, whose effect on the other keys is shown; by default the defaults.

    Raises
    ------
    PluginError
        If it is unknown or disabled.
    ConfigError
        If the configuration isn't valid.
    """
    entry = registry().get(kind, name)
    cls: Any = registry().load(kind, name)
    budgets: dict[str, Budget] = dict(getattr(cls, "budgets", {}))
    try:
        settings = cls.Config.model_validate(dict(config or {}))
    except ValidationError as error:
        raise ConfigError(f"{kind} {name!r}: config: {first_problem(error, cls.Config)}") from None
    default = settings.model_dump(mode="json")
    by_budget: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for budget_name, budget in budgets.items():
        try:
            by_budget[budget_name] = settings.resolve(budget).model_dump(mode="json")
        except ConfigError as error:
            refused[budget_name] = str(error)
        except ValidationError as error:
            refused[budget_name] = first_problem(error, cls.Config)
    options = []
    for key, info in cls.Config.model_fields.items():
        resolved = {name: values[key] for name, values in by_budget.items()} if default[key] is None else {}
        if all(value is None for value in resolved.values()):
            resolved = {}
        options.append(Option(key, default[key], kind_of(info.annotation), _description(cls.Config, key), resolved))
        if _is_group(info.annotation):
            options += _options_of_group(key, info.annotation, default[key])
    docstring = inspect.cleandoc(cls.__doc__ or "")
    first_section = _SECTION.search(docstring)
    return PluginDocs(
        kind,
        name,
        f"{entry.distribution} {entry.version}",
        tuple(sorted(entry.spec.tasks)),
        (docstring[: first_section.start()] if first_section else docstring).strip() or entry.spec.summary,
        budgets,
        tuple(options),
        bool(getattr(cls, "supports_ignore", False)),
        refused,
    )


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def _options_of_group(group: str, config: Any, default: Mapping[str, Any]) -> list[Option]:
    """Return the keys of a nested configuration, each as ``group.key``."""
    return [
        Option(f"{group}.{key}", default[key], kind_of(info.annotation), _description(config, key), {})
        for key, info in config.model_fields.items()
    ]


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
        given = [each for each in arguments if each is not type(None)]
        literals = tuple(value for each in given if get_origin(each) is Literal for value in get_args(each))
        kinds = [kind_of(each) for each in given if get_origin(each) is not Literal]
        if literals:
            kinds.insert(0, kind_of(Literal[literals]))
        return " or ".join(kinds) + (", optional" if type(None) in arguments else "")
    if origin is tuple:
        return f"list of {', '.join(dict.fromkeys(kind_of(each) for each in arguments if each is not Ellipsis))}"
    if origin is not None:
        return f"{kind_of(origin)} of {', '.join(dict.fromkeys(kind_of(each) for each in arguments))}"
    if _is_group(annotation):
        return "mapping of keys to values"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")
