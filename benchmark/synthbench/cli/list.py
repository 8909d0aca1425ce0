"""List the plugins: what they do, where they come from, what they need, and why one is disabled."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Sequence

from synthbench.plugin.registry import Problem, Registered, registry
from synthbench.plugin.specs import KINDS

COLUMNS = ("name", "tasks", "from", "needs", "summary")
MIN_SUMMARY = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[f"{kind}s" for kind in KINDS], help="only this kind")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    found = registry()
    kinds = [args.kind[:-1]] if args.kind else list(KINDS)
    rows = [_row(entry) for kind in kinds for entry in found.of_kind(kind)]
    if args.json:
        problems = [{"plugin": p.plugin, "from": p.distribution, "reason": p.reason} for p in found.problems]
        print(json.dumps({"plugins": rows, "problems": problems}, indent=1, ensure_ascii=False))
        return 0
    print("\n".join(lines(rows, found.problems, shutil.get_terminal_size((120, 24)).columns)))
    return 0


def _row(entry: Registered) -> dict[str, str]:
    spec = entry.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "tasks": ", ".join(sorted(spec.tasks)),
        "from": f"{entry.distribution} {entry.version}",
        "needs": ", ".join(spec.requires),
        "summary": spec.summary,
        "disabled_reason": entry.disabled_reason,
    }


def lines(rows: Sequence[dict[str, str]], problems: Sequence[Problem], width: int) -> list[str]:
    """Lay rows out in a table per kind, with the summary wrapped to `width`, and what is broken at the end."""
    out: list[str] = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        out += ["", *_table(kind, [row for row in rows if row["kind"] == kind], width)]
    if problems:
        out += ["", "BROKEN"]
    for problem in problems:
        out += _hang("", f"plugin {problem.plugin!r} of {problem.distribution} is disabled: {problem.reason}", 0, width)
    return out[1:]


def _table(kind: str, rows: Sequence[dict[str, str]], width: int) -> list[str]:
    heads = {**{c: c for c in COLUMNS}, "name": f"{kind}s".upper()}
    wide = {c: max([len(heads[c]), *(len(row[c]) for row in rows)]) for c in COLUMNS[:-1]}
    margin = sum(wide.values()) + 2 * len(wide)
    out = []
    for row in [{**heads, "disabled_reason": ""}, *rows]:
        left = "  ".join((row[c] or "–").ljust(wide[c]) for c in COLUMNS[:-1]) + "  "
        out += _hang(left, row["summary"], margin, width)
        if row["disabled_reason"]:
            out += _hang(" " * (wide["name"] + 2), f"DISABLED: {row['disabled_reason']}", wide["name"] + 2, width)
    return out


def _hang(left: str, text: str, margin: int, width: int) -> list[str]:
    """Put `text` to the right of `left`, wrapped, its further lines indented by `margin`."""
    wrapped = textwrap.wrap(text, max(MIN_SUMMARY, width - margin), break_on_hyphens=False, break_long_words=False)
    return [((" " * margin if n else left) + part).rstrip() for n, part in enumerate(wrapped or [""])]
