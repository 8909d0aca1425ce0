"""The run folder: what a run may write over, and what it writes beside its tables."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthbench.datasets import splits
from synthbench.datasets.split_files import write_splits
from synthbench.engine import resource_monitor
from synthbench.errors import ConfigError
from synthbench.io.atomic import atomic_write
from synthbench.results import FAILURES, PLAN
from synthbench.results.sources import SOURCES, sources_of
from synthbench.store import disk_errors
from synthbench.study.plan import Plan

__all__ = ["OTHER_FOLDER", "check_folder", "record_failures", "record_plan", "record_study"]

ENVIRONMENT = "environment.json"

OTHER_FOLDER = "give another folder with --out"
"""The hint of errors about a run folder."""


def check_folder(folder: Path) -> None:
    """Raise `ConfigError` if a folder holds something else than a run: a run would write over it.

    Hidden files don't count.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, not a run folder; {OTHER_FOLDER}")
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        return
    try:
        tasks = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        if all({"kind", "label", "content"} <= set(task) for task in tasks.values()):
            return
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        pass
    raise ConfigError(f"{folder}: holds files that no run wrote; {OTHER_FOLDER}")


def record_plan(plan: Plan, folder: Path) -> None:
    """Write what each key is made of, and the machine and versions, into the run folder."""
    with disk_errors(folder, OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        tasks = {key: {"kind": t.kind, "label": t.label, "content": t.content} for key, t in plan.tasks.items()}
        about = {"begun": _begun(folder), **resource_monitor.facts(), "versions": resource_monitor.versions()}
        _write(folder / PLAN, json.dumps(tasks, indent=1))
        _write(folder / ENVIRONMENT, json.dumps(about, indent=1))


def _begun(folder: Path) -> str:
    """Return the day on which the run of a folder began, in UTC: today if it hasn't."""
    try:
        return str(datetime.date.fromisoformat(json.loads((folder / ENVIRONMENT).read_text("utf-8"))["begun"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return datetime.datetime.now(datetime.UTC).date().isoformat()


def record_study(plan: Plan, folder: Path) -> None:
    """Write the study with its defaults, its splits, and what its tables come from: at the end, to fit the results."""
    with disk_errors(folder, OTHER_FOLDER):
        (folder / "splits").mkdir(parents=True, exist_ok=True)
        _write(folder / "study.yaml", plan.resolved.study.to_yaml())
    found: dict[str, dict[int, splits.Split]] = {}
    for condition in plan.resolved.conditions:
        found.setdefault(condition.dataset, {})[condition.fold] = condition.split
    for tested in plan.resolved.test_sets:
        found.setdefault(tested.dataset, {0: tested.split})
    for name, folds in found.items():
        write_splits(folder / "splits" / f"{name}.json", [folds[i] for i in sorted(folds)])
    _write(folder / SOURCES, json.dumps(sources_of(plan), ensure_ascii=False) + "\n")


def record_failures(folder: Path, plan: Plan, ended: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the tracebacks of this run, or remove those of the last."""
    parts = [
        f"{plan.tasks[key].kind}: {plan.tasks[key].label}\n"
        f"{row['status']} in {row['stage']}\n{row['traceback'] or row['error']}\n"
        for key, row in ended.items()
        if row["status"] in FAILURES
    ]
    path = folder / "failures.txt"
    if parts:
        _write(path, "\n".join(parts))
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    atomic_write(path, text, OTHER_FOLDER)
