"""A plugin as a study uses it: configuration, budget, source, and whatever else its results depend on.

Reading that means importing the plugin's class, and with it torch or tensorflow: seconds. The answer depends on the
plugin's source and the choice alone, so the store remembers it; not where a fit reads other files, or the plugin has a
fingerprint, which may change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthbench.io.atomic import atomic_write
from synthbench.plugin.api import has_existing
from synthbench.plugin.registry import registry
from synthbench.store import OTHER_STORE, Store, disk_errors, key_of
from synthbench.study.model import BudgetConfig
from synthbench.study.provenance._code import core_source, plugin_source
from synthbench.study.provenance._task_key import SCALE, task_code
from synthbench.study.provenance._versions import plugin_versions
from synthbench.study.provenance.plugin_settings import (
    file_hashes,
    full_budget,
    full_config,
    has_fingerprint,
    own_fingerprint,
    resolved_config,
)

__all__ = ["PluginFingerprint", "changes_since", "fingerprint_plugin"]


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
    supports_ignore : bool
        Whether it doesn't take pixels of unknown label for background.
    uses_unlabelled : bool
        Whether it is a generator that learns from images without labels too.
    supports_init : sequence of str
        What a segmenter can start from beside weights drawn from the seed.
    requires_init : str
        Why it can't start from weights drawn from the seed; empty where it can.
    has_existing : bool
        Whether it is a generator whose samples may exist before it is fitted; see `Generator.existing`.
    locations : mapping
        The keys of `config` that only say where files are, which are no part of a key.
    required_groups : sequence of str
        Groups that every training sample must have.
    supports_joint : bool
        Whether it is a generator that can be trained together with a segmenter, or a segmenter that can do so.
    bfloat16_on_cpu : bool
        Whether it computes in bfloat16 on a CPU where a run asks for that.
    code : mapping
        Kind of task, or `SCALE` → the part of a key that stands for the core's code where that task runs; see
        `task_code`.
    environment : str
        Name of the environment that it is in; an empty string for this one. Not part of a key.
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
    supports_ignore: bool = False
    uses_unlabelled: bool = False
    supports_init: Sequence[str] = ()
    requires_init: str = ""
    has_existing: bool = False
    locations: Mapping[str, Any] = field(default_factory=dict)
    required_groups: Sequence[str] = ()
    supports_joint: bool = False
    bfloat16_on_cpu: bool = False
    code: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: str = ""

    def content(self) -> dict[str, Any]:
        """Return its part of a key."""
        return {
            "name": self.name,
            "config": {name: value for name, value in self.config.items() if name not in self.locations},
            "budget": dict(self.budget),
            "source": self.source,
            "versions": dict(self.versions),
            **({"files": dict(self.files)} if self.files else {}),
            **({"fingerprint": self.fingerprint} if self.fingerprint else {}),
        }


def fingerprint_plugin(
    store: Store, kind: str, name: str, config: Mapping[str, Any], budget: BudgetConfig | None = None
) -> PluginFingerprint:
    """Return everything about a plugin that its results depend on.

    Parameters
    ----------
    store
        Remembers what the plugin's class says.
    kind, name
    config
        The keys that the study gives.
    budget
        None for what has no budget.

    Raises
    ------
    PluginError
        If it is unknown or disabled, or a file that it needs is missing.
    ConfigError
        If the configuration or the budget doesn't fit it.
    """
    entry = registry().get(kind, name)
    source, versions = plugin_source(entry), plugin_versions(entry)
    question = {
        "plugin": [kind, name, entry.spec.target, entry.disabled_reason],
        "source": [source, core_source("train"), versions],
        "config": dict(config),
        "budget": budget.model_dump() if budget else None,
    }
    memo = store.root / ".memo" / f"{key_of(question)}.json"
    settings, files, fingerprint = _read_memo(memo), {}, ""
    if settings is None:
        cls: Any = registry().load(kind, name)
        owner = f"{kind} {name!r}"
        settings = {"config": full_config(cls, config, owner), "budget": full_budget(cls, budget, owner)}
        resolved = resolved_config(cls, settings, owner)
        settings["supports_ignore"] = bool(getattr(cls, "supports_ignore", False))
        unlabelled = getattr(cls, "uses_unlabelled", False)
        settings["uses_unlabelled"] = bool(unlabelled and resolved.learns_from_unlabelled())
        settings["bfloat16_on_cpu"] = bool(getattr(cls, "bfloat16_on_cpu", False))
        settings["supports_joint"] = bool(getattr(cls, "supports_joint", False))
        settings["supports_init"] = sorted(getattr(cls, "supports_init", ()))
        settings["requires_init"] = str(getattr(cls, "requires_init", ""))
        settings["has_existing"] = kind == "generator" and has_existing(cls)
        settings["locations"] = {name: settings["config"][name] for name in cls.Config.locations}
        settings["required_groups"] = list(resolved.required_groups())
        settings["unsupported_reason"] = {
            task: reason for task in sorted(entry.spec.tasks) if (reason := resolved.unsupported_reason(task))
        }
        files = file_hashes(resolved, owner)
        fingerprint = own_fingerprint(cls, resolved, owner) if kind != "encoder" else ""
        if not files and not has_fingerprint(cls):
            _write_memo(memo, settings)
    return PluginFingerprint(
        kind=kind,
        name=name,
        source=source,
        versions=versions,
        tasks=entry.spec.tasks,
        files=files,
        fingerprint=fingerprint,
        code={task: task_code(task) for task in (*_TASKS[kind], SCALE)},
        **settings,
    )


_TASKS = {
    "generator": ("fit-generator", "draw"),
    "segmenter": ("fit-segmenter", "evaluate"),
    "encoder": ("encode",),
    "dataset": ("dataset",),
}
"""Kinds of task that a plugin does the work of."""

_PARTS = {
    "source": "its source",
    "versions": "the versions of what it imports",
    "files": "a file that it reads",
    "fingerprint": "its fingerprint",
}


def changes_since(cls: Any, planned: Mapping[str, Any], kind: str, *, fits: bool) -> str:
    """Return what of a plugin isn't any more as a key has it, in words; an empty string if nothing changed.

    Parameters
    ----------
    cls
        Its class.
    planned
        Its part of a key (see `PluginFingerprint.content`), with its locations.
    kind
    fits
        Whether it is trained here, so that the files count that its configuration names.
    """
    entry, owner = registry().get(kind, planned["name"]), f"{kind} {planned['name']!r}"
    resolved = resolved_config(cls, planned, owner)
    now: dict[str, Any] = {"source": plugin_source(entry), "versions": plugin_versions(entry)}
    if fits:
        now["files"] = file_hashes(resolved, owner)
    if kind != "encoder":
        now["fingerprint"] = own_fingerprint(cls, resolved, owner)
    changed = [_PARTS[name] for name, value in now.items() if value != (planned.get(name) or type(value)())]
    return f"{owner}: {' and '.join(changed)} changed" if changed else ""


_ABILITIES = (
    *("supports_ignore", "supports_init", "requires_init"),
    *("supports_joint", "uses_unlabelled", "has_existing", "bfloat16_on_cpu"),
)
_REMEMBERED = {"config", "budget", "locations", "required_groups", "unsupported_reason", *_ABILITIES}


def _read_memo(path: Path) -> dict[str, Any] | None:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return settings if settings.keys() == _REMEMBERED else None
    except (OSError, ValueError, AttributeError):
        return None


def _write_memo(path: Path, settings: Mapping[str, Any]) -> None:
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    atomic_write(path, json.dumps(settings), OTHER_STORE)
