"""List the plugins: what they do, where they come from, what they need, and why one is off."""

from __future__ import annotations

import argparse
import json
import sys

from synthbench.plugin.registry import Registered, registry
from synthbench.plugin.specs import KINDS

COLUMNS = ("kind", "name", "tasks", "from", "needs", "summary")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[f"{kind}s" for kind in KINDS], help="only this kind")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    found = registry()
    kinds = [args.kind[:-1]] if args.kind else list(KINDS)
    rows = [_row(entry) for kind in kinds for entry in found.of_kind(kind)]
    if args.json:
        problems = [{"plugin": p.plugin, "from": p.distribution, "reason": p.reason} for p in found.problems]
        print(json.dumps({"plugins": rows, "problems": problems}, indent=1))
        return 0
    _print_table(rows)
    for problem in found.problems:
        print(f"off: plugin {problem.plugin!r} of {problem.distribution}: {problem.reason}", file=sys.stderr)
    return 0


def _row(entry: Registered) -> dict[str, str]:
    spec = entry.spec
    return {
        "kind": spec.kind,
        "name": spec.name,
        "tasks": ", ".join(sorted(spec.tasks)),
        "from": f"{entry.distribution} {entry.version}",
        "needs": f"OFF: {entry.off}" if entry.off else ", ".join(spec.requires) or "–",
        "summary": spec.summary,
    }


def _print_table(rows: list[dict[str, str]]) -> None:
    widths = {c: max([len(c), *(len(row[c]) for row in rows)]) for c in COLUMNS}
    for row in [{c: c.upper() for c in COLUMNS}, *rows]:
        print("  ".join(row[c].ljust(widths[c]) for c in COLUMNS).rstrip())
