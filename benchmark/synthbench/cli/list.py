"""List the plugins: what they do, where they come from, what they need, and why one is disabled."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.cli._tables import table_lines
from synthbench.environments.offers import offers
from synthbench.environments.plugins import listed_plugins
from synthbench.plugin.registry import Problem, Registered, registry
from synthbench.plugin.specs import KINDS

__all__ = ["add_arguments", "lines", "run"]

COLUMNS = ("name", "tasks", "from", "environment", "needs", "summary")
MIN_SUMMARY = 24
LIMITS = {"from": 28, "needs": 22}
"""Characters of columns whose longest cells would leave the summary no room."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[f"{kind}s" for kind in KINDS], help="only this kind")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    plugins = registry()
    kinds = [args.kind[:-1]] if args.kind else list(KINDS)
    rows = [_row(entry) for kind in kinds for entry in listed_plugins(kind)]
    problems = [("", problem) for problem in plugins.problems]
    problems += [(name, problem) for name, offer in offers().items() for problem in offer.problems]
    environments = {name: offer.problem for name, offer in offers().items()}
    if args.json:
        broken = [
            {"plugin": p.plugin, "from": p.distribution, "environment": name, "reason": p.reason}
            for name, p in problems
        ]
        answer = {"plugins": rows, "problems": broken, "environments": environments}
        print(json.dumps(answer, indent=1, ensure_ascii=False))
        return 0
    print("\n".join(lines(rows, problems, shutil.get_terminal_size((120, 24)).columns, environments)))
    return 0


def _row(entry: Registered) -> dict[str, Any]:
    spec = entry.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "tasks": sorted(spec.tasks) if spec.kind not in ("engine", "logger") else [],
        "from": f"{entry.distribution} {entry.version}",
        "environment": entry.environment,
        "needs": ", ".join((*spec.requires, *spec.environment)),
        "summary": spec.summary,
        "disabled_reason": entry.disabled_reason,
    }


def lines(
    rows: Sequence[dict[str, Any]],
    problems: Sequence[tuple[str, Problem]],
    width: int,
    environments: Mapping[str, str] | None = None,
) -> list[str]:
    """Return a table per kind of plugin, with summaries wrapped to `width`, then what can't be used, and why.

    Parameters
    ----------
    rows
    problems
        The environment of each plugin that can't be loaded, an empty string for this one, and the problem.
    width
    environments
        The environments by name, with the reason why one can't be used.
    """
    columns = [column for column in COLUMNS if column != "environment" or any(row["environment"] for row in rows)]
    blocks = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        cells = [
            [
                _cell(row[column]).replace(", ", "\n") if column == "needs" else _cell(row[column])
                for column in columns[:-1]
            ]
            + [_summary(row)]
            for row in rows
            if row["kind"] == kind
        ]
        header = [f"{kind}s".upper(), *columns[1:]]
        last = len(columns) - 1
        blocks.append(
            table_lines(
                header,
                cells,
                left=range(last),
                wrapped=last,
                width=width,
                min_wrapped=MIN_SUMMARY,
                limits={columns.index(name): limit for name, limit in LIMITS.items() if name in columns},
            )
        )
    broken = [
        f"plugin {p.plugin!r} of {p.distribution}{f' in environment {name!r}' * bool(name)} is disabled: {p.reason}"
        for name, p in problems
    ]
    broken += [f"environment {name!r} is disabled: {reason}" for name, reason in (environments or {}).items() if reason]
    if broken:
        blocks.append(["BROKEN", *(line for text in broken for line in _wrapped(text, width))])
    if any(not reason for reason in (environments or {}).values()):
        names = ", ".join(name for name, reason in (environments or {}).items() if not reason)
        more = f"environments: {names}; NAME@ENVIRONMENT is what an environment has of a plugin that is enabled here"
        blocks.append(_wrapped(more, width))
    return "\n\n".join("\n".join(block) for block in blocks).splitlines()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _cell(value: str | list[str]) -> str:
    return (value if isinstance(value, str) else ", ".join(value)) or "–"


def _summary(row: dict[str, Any]) -> str:
    """Return the summary, and on a line of its own why the plugin is disabled."""
    reason = row["disabled_reason"]
    return "\n".join([row["summary"], *([f"DISABLED: {reason}"] if reason else [])]).strip("\n")
