"""What a plugin says of itself, for people: its docstring, its budgets, and each key of its configuration."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from synthbench.plugin.api import Budget
from synthbench.plugin.registry import registry

__all__ = ["Option", "PluginDocs", "documented", "kind_of", "plugin_docs"]

_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_LISTED = ("Attributes", "Parameters")


@dataclass(frozen=True)
class Option:
    """A key of a plugin's configuration.

    Attributes
    ----------
    name : str
    default : object
        As JSON has it; None where it is open.
    kind : str
        The values that it takes, in words, as the docstring has it; may be empty.
    words : str
        What it is; may be empty.
    resolved : mapping
        Where it is open: what it becomes by budget, name → value. Empty else.
    """

    name: str
    default: Any
    kind: str
    words: str
    resolved: Mapping[str, Any]


@dataclass(frozen=True)
class PluginDocs:
    """A plugin.

    Attributes
    ----------
    kind, name, source : str
        `source` is the distribution and its version.
    tasks : tuple of str
    words : str
        Its docstring without the lists of attributes, in paragraphs.
    budgets : mapping
        Name → `Budget`; empty where it doesn't train.
    options : tuple of Option
    supports_ignore : bool
        Whether it may be given samples with pixels of unknown label.
    """

    kind: str
    name: str
    source: str
    tasks: tuple[str, ...]
    words: str
    budgets: Mapping[str, Budget]
    options: tuple[Option, ...]
    supports_ignore: bool = False


def plugin_docs(kind: str, name: str) -> PluginDocs:
    """Return the plugin_docs of an installed plugin; its class is imported.

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
    known: dict[str, tuple[str, str]] = {}
    for base in reversed(cls.Config.__mro__):
        own = getattr(base, "__annotations__", {})
        known |= {key: entry for key, entry in documented(base.__doc__ or "").items() if key in own}
    options = []
    for key, info in cls.Config.model_fields.items():
        of_type, words = known.get(key, ("", ""))
        resolved = {name: found[key] for name, found in by_budget.items()} if default[key] is None else {}
        resolved = {name: value for name, value in resolved.items() if value is not None}
        options.append(
            Option(key, default[key], of_type or kind_of(info.annotation), info.description or words, resolved)
        )
    text = inspect.cleandoc(cls.__doc__ or "")
    first = _SECTION.search(text)
    return PluginDocs(
        kind,
        name,
        f"{entry.distribution} {entry.version}",
        tuple(sorted(entry.spec.tasks)),
        (text[: first.start()] if first else text).strip(),
        budgets,
        tuple(options),
        bool(getattr(cls, "supports_ignore", False)),
    )


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


def documented(docstring: str) -> dict[str, tuple[str, str]]:
    """Return what a numpydoc docstring lists under Attributes or Parameters: name → type, description on one line.

    An entry without a description has that of the next one: they were written together.
    """
    text = inspect.cleandoc(docstring)
    parts = _SECTION.split(text)
    found: dict[str, tuple[str, str]] = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title not in _LISTED:
            continue
        waiting: list[tuple[str, str]] = []
        for head, lines in re.findall(r"^(\S.*)\n((?:(?:[ \t]+.*)?\n)*)", body.strip("\n") + "\n", re.MULTILINE):
            names, _, of_type = head.partition(" : ")
            waiting += [(name.strip(), of_type) for name in names.split(",")]
            words = " ".join(lines.split())
            if words:
                found |= {name: (own, words) for name, own in waiting}
                waiting = []
        found |= {name: (own, "") for name, own in waiting}
    return found
