"""A plugin as a study uses it: configuration, budget, source, and whatever else its results depend on.

Reading that means importing the plugin's class, and with it torch or tensorflow: seconds. The answer depends on the
plugin's source and the choice alone, so the store remembers it; not where a fit reads other files, or the plugin has a
fingerprint, which may change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthbench.errors import ConfigError, PluginError, StoreError, suggest
from synthbench.plugin.api import Budget, Generator
from synthbench.plugin.registry import one_line, registry
from synthbench.store import Store, disk_errors, file_digest, key_of
from synthbench.study.model import BudgetConfig, first_problem
from synthbench.study.provenance import core_source, plugin_source, plugin_versions


@dataclass(frozen=True)
class PluginFingerprint:
    """A plugin as a key sees it.

    Attributes
    ----------
    kind, name : str
    config : mapping
        Every hyper-parameter, defaults written out.
    budget : mapping
        ``steps``, ``batch_size``, ``patch_size``.
    source : str
        SHA-256 of the plugin's import package.
    versions : mapping
        Major and minor, of the distributions that it computes with.
    tasks : frozenset of str
    unsupported_reason : mapping
        Which of them this configuration doesn't suit, and why.
    files : mapping
        SHA-256 of the files that fitting reads beside the training samples, by what the plugin calls them.
    fingerprint : str
        What it says of itself beside that; an encoder's is kept elsewhere.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    budget: Mapping[str, int]
    source: str
    versions: Mapping[str, str | None]
    tasks: frozenset[str]
    unsupported_reason: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""

    def content(self) -> dict[str, Any]:
        """Return its part of a key."""
        return {
            "name": self.name,
            "config": dict(self.config),
            "budget": dict(self.budget),
            "source": self.source,
            "versions": dict(self.versions),
            **({"files": dict(self.files)} if self.files else {}),
            **({"fingerprint": self.fingerprint} if self.fingerprint else {}),
        }


def fingerprint_plugin(
    store: Store, kind: str, name: str, config: Mapping[str, Any], budget: BudgetConfig | None = None
) -> PluginFingerprint:
    """Describe a choice of a plugin.

    Raises
    ------
    PluginError
        If it is unknown or disabled, or a file that it needs is missing.
    ConfigError
        If the configuration or the budget doesn't fit it.
    """
    entry = registry().get(kind, name)
    source, versions = plugin_source(entry), plugin_versions(entry)
    asked = {
        "plugin": [kind, name, entry.spec.target, entry.disabled_reason],
        "source": [source, core_source("train"), versions],
        "config": dict(config),
        "budget": budget.model_dump() if budget else None,
    }
    memo = store.root / ".memo" / f"{key_of(asked)}.json"
    answer, files, fingerprint = _recall(memo), {}, ""
    if answer is None:
        cls, owner = registry().load(kind, name), f"{kind} {name!r}"
        answer = {"config": full_config(cls, config, owner), "budget": _budget(cls, budget, owner)}
        sized = _sized(cls, answer, owner)
        answer["unsupported_reason"] = {
            task: reason for task in sorted(entry.spec.tasks) if (reason := sized.unsupported_reason(task))
        }
        files = files_of(sized, owner)
        fingerprint = fingerprint_of(cls, sized, owner) if kind != "encoder" else ""
        if not files and not tells(cls):
            _remember(memo, answer)
    return PluginFingerprint(
        kind=kind,
        name=name,
        config=answer["config"],
        budget=answer["budget"],
        source=source,
        versions=versions,
        tasks=entry.spec.tasks,
        unsupported_reason=answer["unsupported_reason"],
        files=files,
        fingerprint=fingerprint,
    )


def _recall(path: Path) -> dict[str, Any] | None:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        return answer if {"config", "budget", "unsupported_reason"} <= answer.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _remember(path: Path, answer: Mapping[str, Any]) -> None:
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(answer), encoding="utf-8")
        os.replace(beside, path)


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


def _budget(cls: Any, choice: BudgetConfig | None, owner: str) -> dict[str, int]:
    if choice is None:
        return {}
    try:
        budget = asdict(cls.budget(choice.name))
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None
    if cls.budgets:
        budget |= choice.model_dump(exclude={"name"}, exclude_none=True)
    return budget


def _sized(cls: Any, answer: Mapping[str, Any], owner: str) -> Any:
    """Return the configuration with what its budget settles; raise `ConfigError` if that doesn't fit it."""
    config = cls.Config.model_validate(dict(answer["config"]))
    if not answer["budget"].get("steps"):
        return config
    try:
        return config.resolve(Budget(**answer["budget"]))
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from None


def files_of(config: Any, owner: str) -> dict[str, str]:
    """Return the SHA-256 of the files that a configuration names, by its names for them.

    Raises
    ------
    PluginError, ConfigError
        If one is missing or can't be read.
    """
    found = {}
    try:
        for name, path in config.files().items():
            found[name] = file_digest(path)
    except OSError as error:
        raise PluginError(f"{owner}: {name}: {path}: can't be read: {error.strerror or error}") from None
    except (ConfigError, PluginError) as error:
        raise type(error)(f"{owner}: {error}") from None
    return found


def tells(cls: Any) -> bool:
    """Whether a plugin's class says more of itself than its source and versions do."""
    return getattr(cls, "fingerprint", None) is not Generator.fingerprint


def fingerprint_of(cls: Any, config: Any, owner: str) -> str:
    """Return what a plugin with this configuration says that its results hang on beside source and versions.

    Raises
    ------
    PluginError, ConfigError
        If it fails at that, or says anything else than text.
    """
    if not tells(cls):
        return ""
    try:
        said = cls(config).fingerprint()
    except (ConfigError, PluginError) as error:
        raise type(error)(f"{owner}: {error}") from None
    except (Exception, SystemExit) as error:  # it may run anything
        raise PluginError(f"{owner}: its fingerprint can't be told: {one_line(error)}") from error
    if not isinstance(said, str):
        raise PluginError(f"{owner}: fingerprint() gave {type(said).__name__}; return text")
    return said


_WORDS = {
    "source": "its source",
    "versions": "the versions of what it imports",
    "files": "a file that it reads",
    "fingerprint": "its fingerprint",
}


def changed(cls: Any, part: Mapping[str, Any], kind: str, *, reads: bool) -> str:
    """Return what of a plugin is no longer as a key has it, or an empty string.

    Parameters
    ----------
    cls
        Its class.
    part
        Its part of a key; see `PluginFingerprint.content`.
    kind
    reads
        Whether the files count that a fit reads.
    """
    entry, owner = registry().get(kind, part["name"]), f"{kind} {part['name']!r}"
    config = _sized(cls, part, owner)
    now: dict[str, Any] = {"source": plugin_source(entry), "versions": plugin_versions(entry)}
    if reads:
        now["files"] = files_of(config, owner)
    if kind != "encoder":
        now["fingerprint"] = fingerprint_of(cls, config, owner)
    found = [_WORDS[name] for name, value in now.items() if value != (part.get(name) or type(value)())]
    return f"{owner}: {' and '.join(found)} changed" if found else ""


def pick_encoder(store: Store, name: str | None, config: Mapping[str, Any]) -> tuple[PluginFingerprint, str]:
    """Return the encoder for fidelity, and the fingerprint of its network and weights.

    Without a name: the first of `PREFERRED` that can run here.

    Raises
    ------
    PluginError, ConfigError
        If the named one can't run, with what would make it.
    """
    for candidate in [name] if name else PREFERRED:
        if not name and ("encoder", candidate) not in registry().entries:
            continue
        cls: Any = registry().load("encoder", candidate)
        described = fingerprint_plugin(store, "encoder", candidate, config if name else {})
        built = cls.Config.model_validate(dict(described.config))
        reason = cls.unavailable(built)
        if not reason:
            return described, fingerprint_of(cls, built, f"encoder {candidate!r}")
        if name:
            raise ConfigError(f"encoder {name!r} can't run: {reason}")
    raise StoreError(
        f"no encoder can run; there are: {', '.join(registry().names('encoder'))}{suggest('untrained', [])}"
    )


PREFERRED = ("inception", "untrained")
"""Only the first may be called FID and KID; the second needs no weights and so runs anywhere."""
