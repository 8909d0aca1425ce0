"""The settings of a plugin, complete: configuration, budget, the files that it reads, its own fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.api import Budget, Generator
from synthbench.plugin.config_errors import first_problem
from synthbench.plugin.registry import one_line, registry
from synthbench.store import file_digest, folder_digest, key_of
from synthbench.study.model import BudgetConfig

__all__ = [
    "check_init",
    "file_hashes",
    "full_budget",
    "full_config",
    "has_fingerprint",
    "own_fingerprint",
    "resolved_config",
]


def full_config(cls: Any, config: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return a configuration with its defaults, as JSON; raise `ConfigError` with one line if it doesn't validate."""
    try:
        full: dict[str, Any] = cls.Config.model_validate(dict(config)).model_dump(mode="json")
    except ValidationError as error:
        raise ConfigError(f"{owner}: config: {first_problem(error, cls.Config)}") from None
    try:
        key_of(full)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{owner}: its configuration isn't JSON: {error}") from None
    return full


def full_budget(cls: Any, choice: BudgetConfig | None, owner: str) -> dict[str, int]:
    """Return a budget's numbers: those of the plugin for its name, or those that the study gives; {} without one.

    Raises
    ------
    ConfigError
        If the plugin has no budget of this name.
    """
    if choice is None:
        return {}
    try:
        budget = asdict(cls.budget(choice.name))
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None
    if cls.budgets:
        budget |= choice.model_dump(exclude={"name", "score_by_steps"}, exclude_none=True)
    return budget


def resolved_config(cls: Any, settings: Mapping[str, Any], owner: str) -> Any:
    """Return the configuration with what it leaves open filled in for the budget.

    Parameters
    ----------
    cls
        The plugin's class.
    settings
        ``config`` and ``budget``, complete.
    owner
        The plugin, for messages.

    Raises
    ------
    ConfigError
        If the budget doesn't fit the configuration.
    """
    config = cls.Config.model_validate(dict(settings["config"]))
    if not settings["budget"].get("steps"):
        return config
    try:
        return config.resolve(Budget(**settings["budget"]))
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{owner}: {first_problem(error, cls.Config)}") from None


def file_hashes(config: Any, owner: str) -> dict[str, str]:
    """Return the SHA-256 of the files and folders that a configuration names, by its names for them.

    Raises
    ------
    PluginError, ConfigError
        If one is missing or can't be read.
    """
    hashes: dict[str, str] = {}
    try:
        for name, path in config.files().items():
            hashes[name] = folder_digest(path) if path.is_dir() else file_digest(path)
    except OSError as error:
        raise PluginError(
            f"{owner}: {name}: {error.filename or path}: can't be read: {error.strerror or error}"
        ) from None
    except (ConfigError, PluginError) as error:
        raise type(error)(f"{owner}: {error}") from None
    return hashes


def has_fingerprint(cls: Any) -> bool:
    """Whether a plugin's class overrides `fingerprint`."""
    return getattr(cls, "fingerprint", None) is not Generator.fingerprint


def own_fingerprint(cls: Any, config: Any, owner: str) -> str:
    """Return what a plugin with this configuration says that its results depend on beside source and versions.

    Raises
    ------
    PluginError, ConfigError
        If `fingerprint` fails, or doesn't return text.
    """
    if not has_fingerprint(cls):
        return ""
    try:
        fingerprint = cls(config).fingerprint()
    except (ConfigError, PluginError) as error:
        raise type(error)(f"{owner}: {error}") from None
    except (Exception, SystemExit) as error:  # it may run anything
        raise PluginError(f"{owner}: fingerprint() failed: {one_line(error)}") from error
    if not isinstance(fingerprint, str):
        raise PluginError(f"{owner}: fingerprint() gave {type(fingerprint).__name__}; return text")
    return fingerprint


def check_init(name: str, config: Mapping[str, Any], file: Path) -> None:
    """Raise `PluginError` if a segmenter of this environment, so configured, can't start from a file of weights."""
    cls: Any = registry().load("segmenter", name)
    owner = f"segmenter {name!r}"
    try:
        cls.check_init(cls.Config.model_validate(full_config(cls, config, owner)), file)
    except (ConfigError, PluginError) as error:
        raise type(error)(f"{owner}: init: {error}") from None
