"""What pydantic finds wrong with a configuration, as one line for the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from synthbench.errors import suggest

__all__ = ["first_problem"]

_MAX_VALUE = 120
"""Characters of the longest value that is repeated in a message."""

_REASONS = {
    "list_type": "expected a list, such as [a, b]",
    "too_short": "expected at least one entry",
    "model_type": "expected a mapping of keys to values, such as {name: …}",
    "dict_type": "expected a mapping of keys to values, such as {name: …}",
}
"""Replacements of pydantic's own words, by the type of its problem."""


def first_problem(
    error: ValidationError, model: type[BaseModel], expected: Mapping[str, str] | None = None, whole: str = ""
) -> str:
    """Return the first problem of a configuration: its key, the value, and what was expected.

    Parameters
    ----------
    error
        What `model` raised. Problems of known keys come before unknown keys.
    model
        The model that refused the configuration; its keys are suggested where one is misspelt.
    expected
        What a key of the model takes, in words, by its name: used instead of pydantic's message.
    whole
        What to call the configuration where the problem belongs to no single key.

    Returns
    -------
    str
        One line, such as ``"fractions: invalid value 1.5; expected …"``.
    """
    problem = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    location, kind, value = problem["loc"], problem["type"], problem["input"]
    where = ".".join(str(part) for part in location if not _is_union_tag(part)) or whole
    place = f"{where}: " if where else ""
    if kind == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        hint = suggest(str(location[-1]), known) or f"; available: {', '.join(known) or 'none'}"
        return f"{place}no such key{hint}"
    if kind == "missing":
        return f"{place}is missing"
    if kind == "list_type" and isinstance(value, str | int | float):
        return f"{place}expected a list, such as [{value}]"
    if location and str(location[0]) in (expected or {}):
        return f"{location[0]}: invalid value {value!r}; expected {(expected or {})[str(location[0])]}"
    given = f" (given: {value!r})" if location and len(repr(value)) < _MAX_VALUE else ""
    return f"{place}{_REASONS.get(kind, problem['msg'].removeprefix('Value error, '))}{given}"


def _is_union_tag(part: int | str) -> bool:
    """Whether pydantic added this part of a location to name a member of a union."""
    return isinstance(part, str) and ("[" in part or part in ("int", "float", "str"))


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model at a location; those of `model` where there is no model."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and current is not None:
            field = current.model_fields.get(part)
            current = _model_within(field.annotation) if field else None
    return list((current or model).model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """Return the first model in an annotation such as ``list[Model | str]``."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_within, getattr(annotation, "__args__", ()))), None)
