"""List the plugins: what they do, where they come from, what they need, and why one is disabled."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from synthbench.cli._tables import table_lines
from synthbench.plugin.registry import Problem, Registered, registry
from synthbench.plugin.specs import KINDS

__all__ = ["add_arguments", "lines", "run"]

COLUMNS = ("name", "tasks", "from", "needs", "summary")
MIN_SUMMARY = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[f"{kind}s" for kind in KINDS], help="only this kind")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    plugins = registry()
    kinds = [args.kind[:-1]] if args.kind else list(KINDS)
    rows = [_row(entry) for kind in kinds for entry in plugins.of_kind(kind)]
    if args.json:
        problems = [{"plugin": p.plugin, "from": p.distribution, "reason": p.reason} for p in plugins.problems]
        print(json.dumps({"plugins": rows, "problems": problems}, indent=1, ensure_ascii=False))
        return 0
    print("\n".join(lines(rows, plugins.problems, shutil.get_terminal_size((120, 24)).columns)))
    return 0


def _row(entry: Registered) -> dict[str, Any]:
    spec = entry.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "tasks": sorted(spec.tasks) if spec.kind != "engine" else [],
        "from": f"{entry.distribution} {entry.version}",
        "needs": ", ".join(spec.requires),
        "summary": spec.summary,
        "disabled_reason": entry.disabled_reason,
    }


def lines(rows: Sequence[dict[str, Any]], problems: Sequence[Problem], width: int) -> list[str]:
    """Return a table per kind of plugin, with summaries wrapped to `width`, then the plugins that can't be loaded."""
    blocks = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        cells = [
            [_cell(row[column]) for column in COLUMNS[:-1]] + [_summary(row)] for row in rows if row["kind"] == kind
        ]
        header = [f"{kind}s".upper(), *COLUMNS[1:]]
        last = len(COLUMNS) - 1
        blocks.append(table_lines(header, cells, left=range(last), wrapped=last, width=width, min_wrapped=MIN_SUMMARY))
    if problems:
        broken = [f"plugin {p.plugin!r} of {p.distribution} is disabled: {p.reason}" for p in problems]
        blocks.append(
            [
                "BROKEN",
                *(
                    line
                    for text in broken
                    for line in textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
                ),
            ]
        )
    return "\n\n".join("\n".join(block) for block in blocks).splitlines()


def _cell(value: str | list[str]) -> str:
    return (value if isinstance(value, str) else ", ".join(value)) or "–"


def _summary(row: dict[str, Any]) -> str:
    """Return the summary, and on a line of its own why the plugin is disabled."""
    reason = row["disabled_reason"]
    return "\n".join([row["summary"], *([f"DISABLED: {reason}"] if reason else [])]).strip("\n")
