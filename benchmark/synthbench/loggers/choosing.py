"""From names and options to loggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from synthbench.errors import ConfigError
from synthbench.loggers.base import Logger
from synthbench.plugin.config_errors import first_problem
from synthbench.plugin.registry import registry

__all__ = ["make_loggers"]


def make_loggers(names: Sequence[str], options: Mapping[str, Any]) -> list[tuple[str, Logger[Any]]]:
    """Return loggers by name; nothing is started.

    Parameters
    ----------
    names
        Of logger plugins.
    options
        Keys of their configurations; each logger takes those that it knows.

    Raises
    ------
    PluginError
        If there is no such logger, or it is disabled.
    ConfigError
        If a name is given twice, no logger knows an option, or a value is wrong.
    """
    if twice := [name for name in names if list(names).count(name) > 1]:
        raise ConfigError(f"--log {twice[0]}: is given twice; remove one")
    classes: dict[str, Any] = {name: registry().load("logger", name) for name in names}
    for key, value in options.items():
        if not any(key in cls.Config.model_fields for cls in classes.values()):
            known = sorted({field for cls in classes.values() for field in cls.Config.model_fields})
            taken = f"{', '.join(names)} take {', '.join(known) or 'none'}" if names else "add --log NAME"
            raise ConfigError(f"--log-option {key}={value}: no logger takes this; {taken}")
    made = []
    for name, cls in classes.items():
        try:
            config = cls.Config.model_validate({k: v for k, v in options.items() if k in cls.Config.model_fields})
        except ValidationError as error:
            raise ConfigError(f"logger {name!r}: {first_problem(error, cls.Config)}") from None
        made.append((name, cls(config)))
    return made
