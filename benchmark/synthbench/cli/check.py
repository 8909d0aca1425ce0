"""Try a plugin against the contract.

Fits it on small drawn pictures with the smoke budget and prints one line per promise: ✓ kept, ✗ violated, – not tried.
Exits with 1 when a promise is violated.
"""

from __future__ import annotations

import argparse
import json

from synthbench.errors import PluginError, nearest
from synthbench.plugin.registry import registry
from synthbench.plugin.specs import KINDS

MARKS = {"kept": "✓", "violated": "✗", "skipped": "–"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a plugin, as 'synthbench list' shows it")
    parser.add_argument(
        "--kind", choices=list(KINDS), help="for a name that several kinds have; by default all of them"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    kinds = _kinds(args.name, args.kind)
    from synthbench.testing.contract import examine_plugin

    rows = []
    for kind in kinds:
        if not args.json:
            print(f"{kind} {args.name}")
        for finding in examine_plugin(kind, args.name):
            rows.append({"kind": kind, **vars(finding)})
            if not args.json:
                sentence = f": {finding.sentence}" if finding.sentence else ""
                print(f"  {MARKS[finding.status]} {finding.promise}{sentence}", flush=True)
    violated = sum(row["status"] == "violated" for row in rows)
    if args.json:
        print(json.dumps({"name": args.name, "violated": violated, "findings": rows}, indent=1, ensure_ascii=False))
    else:
        counts = [(sum(row["status"] == status for row in rows), status) for status in MARKS]
        print(", ".join(f"{count} {status}" for count, status in counts if count))
    return 1 if violated else 0


def _kinds(name: str, kind: str | None) -> list[str]:
    found = registry()
    if kind is not None:
        return [found.get(kind, name).spec.kind]
    kinds = [each for each, known in found.entries if known == name]
    if not kinds:
        hint = nearest(name, {known for _, known in found.entries}) or "; 'synthbench list' shows them all"
        broken = found.of_problems()
        raise PluginError(f"unknown plugin {name!r}{hint}{broken}")
    return kinds
