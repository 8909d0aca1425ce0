"""Hyper-parameters whose defaults depend on the training budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from synthbench.plugin.api import Budget, Config

__all__ = ["LONG_TRAINING_STEPS", "Preset", "non_default", "resolve_defaults", "resolve_preset", "resolved"]

LONG_TRAINING_STEPS = 10_000
"""A training of fewer optimiser steps counts as short, meant for a CPU."""

Preset = Literal["paper", "microscopy"]
"""``paper``: the published method. ``microscopy``: with what this project adds for short trainings on few images."""

ConfigT = TypeVar("ConfigT", bound=Config)
T = TypeVar("T")


def non_default(config: Config, names: Iterable[str]) -> list[str]:
    """Return the named fields whose values differ from their defaults, each as ``"name: value"``."""
    fields = type(config).model_fields
    values = {name: getattr(config, name) for name in names}
    return [f"{name}: {value}" for name, value in values.items() if value != fields[name].default]


def resolve_defaults(config: ConfigT, budget: Budget, *, short: Mapping[str, Any], long: Mapping[str, Any]) -> ConfigT:
    """Return the configuration with a value for every field that depends on the budget.

    Parameters
    ----------
    config
        A field that is None and is named in `short` or `long` has no value yet.
    budget
    short, long
        Field → value: the defaults in a training of fewer than `LONG_TRAINING_STEPS` steps, and in all others.

    Returns
    -------
    Config
        A copy; what was set stays as it is.

    Raises
    ------
    pydantic.ValidationError
        If a default isn't valid for its field.
    """
    defaults = long if budget.steps >= LONG_TRAINING_STEPS else short
    fields = config.model_dump()
    return type(config).model_validate(fields | {k: v for k, v in defaults.items() if fields[k] is None})


def resolve_preset(
    config: ConfigT, budget: Budget, *, paper: Mapping[str, Any], microscopy: Mapping[str, Any]
) -> ConfigT:
    """Return the configuration with the defaults of its preset, for a configuration with the field `preset`.

    Parameters
    ----------
    config
        If its `preset` is None, that is ``paper`` in a training of at least `LONG_TRAINING_STEPS` steps, and else
        ``microscopy``.
    budget
    paper, microscopy
        Field → value: what the presets set; a field that isn't None keeps its value.

    Returns
    -------
    Config
        A copy, in which `preset` is set too.

    Raises
    ------
    pydantic.ValidationError
        If a default isn't valid for its field.
    """
    preset = config.model_dump()["preset"]
    if preset is None:
        return resolve_defaults(
            config, budget, short={"preset": "microscopy", **microscopy}, long={"preset": "paper", **paper}
        )
    defaults = paper if preset == "paper" else microscopy
    return resolve_defaults(config, budget, short=defaults, long=defaults)


def resolved(value: T | None) -> T:
    """Return the value of a field that is None until the configuration is resolved.

    Raises
    ------
    ValueError
        If it still is None.
    """
    if value is None:
        raise ValueError("the configuration has no value for this field; call its resolve(budget)")
    return value
