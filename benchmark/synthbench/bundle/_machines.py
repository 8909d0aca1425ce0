"""What a run was computed with: distributions and their versions, plugins, code and devices; and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

__all__ = ["WEIGHTS", "costs_of", "environment_of", "plugins_of", "software_of", "versions_of"]


WEIGHTS = "weights"
"""The kind of what a segmenter starts from, among methods."""


def environment_of(run: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a run was computed with, as JSON.

    Parameters
    ----------
    run
        The run folder's ``environment.json``.
    records
        Of the artifacts behind its tables.

    Returns
    -------
    dict
        What `run` says; and of all artifacts ``distributions``: name → exact versions, ``requirements``: major and
        minor versions of whatever else the plugins import, ``plugins``: the distributions that aren't synthbench's own,
        with version and commit, ``commits`` of synthbench, and ``devices``.
    """
    distributions = {str(name): {str(version)} for name, version in run.get("versions", {}).items()}
    requirements: dict[str, set[str]] = {}
    plugins: dict[str, dict[str, Any]] = {}
    commits: set[str] = set()
    devices: set[str] = set()
    for record in records:
        for name, version in (record.get("versions") or {}).items():
            distributions.setdefault(name, set()).add(str(version))
        for name, version in versions_of(record.get("content") or {}):
            requirements.setdefault(name, set()).add(version)
        if source := record.get("plugin_source"):
            state = dict(source.get("state") or {})
            row = {"distribution": source["distribution"], "version": source["version"], **state}
            plugins[repr(sorted(row.items()))] = row
        if commit := (record.get("source_state") or {}).get("commit"):
            commits.add(f"{commit}{'+' * bool(record['source_state'].get('changed'))}")
        if record.get("device"):
            devices.add(" ".join([record["device"], *([f"({record['gpu']})"] if record.get("gpu") else [])]))
    others = {name: sorted(found) for name, found in sorted(requirements.items()) if name not in distributions}
    return {
        **{name: run[name] for name in ("hardware", "source_state", "versions") if name in run},
        "distributions": {name: sorted(found) for name, found in sorted(distributions.items())},
        "requirements": others,
        "plugins": [plugins[key] for key in sorted(plugins)],
        "commits": sorted(commits),
        "devices": sorted(devices),
    }


def software_of(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names of the distributions of `environment_of`, and their versions in text."""
    return [(str(name), ", ".join(map(str, found))) for name, found in environment["distributions"].items()]


def versions_of(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the distributions that a task's key names, with their versions: those of the core and of its plugins."""
    parts = [content, *(content.get(part) for part in ("plugin", "joint", "scale", "encoder"))]
    for part in parts:
        if isinstance(part, Mapping) and isinstance(part.get("versions"), Mapping):
            yield from ((str(name), str(version)) for name, version in part["versions"].items() if version)


def plugins_of(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return kind and name of the generators, segmenters and encoders of a plan, sorted."""
    kinds = {"fit-generator": "generator", "fit-segmenter": "segmenter", "encode": "encoder"}
    found = set()
    for task in plan.values():
        if (kind := kinds.get(task["kind"])) and isinstance(plugin := task["content"].get("plugin"), Mapping):
            found.add((kind, str(plugin["name"])))
        if isinstance(encoder := task["content"].get("encoder"), Mapping) and "name" in encoder:
            found.add(("encoder", str(encoder["name"])))
        if isinstance(joint := task["content"].get("joint"), Mapping):
            found.add(("generator", str(joint["name"])))
    return sorted(found)


def costs_of(tasks: pd.DataFrame) -> dict[str, Any]:
    """Return what the tasks of a run cost by kind: their number, seconds, and the largest peaks of memory in MiB."""
    found: dict[str, Any] = {}
    number = Counter(tasks["kind"])
    for kind in sorted(number):
        rows = tasks[tasks["kind"] == kind]
        found[kind] = {"tasks": number[kind], "seconds": round(float(rows["seconds"].fillna(0).sum()), 3)}
        for column in ("peak_memory_mb", "gpu_memory_mb"):
            if column in rows and rows[column].notna().any():
                found[kind][column] = float(rows[column].max())
    return {"by_kind": found, "seconds": round(sum(row["seconds"] for row in found.values()), 3)}
