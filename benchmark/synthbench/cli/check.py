"""Try a plugin against the contract.

Fits it on small drawn pictures with the smoke budget and prints one line per promise: ✓ kept, ✗ violated, – not tried.
Exits with 1 when a promise is violated.
"""

from __future__ import annotations

import argparse
import json

from synthbench.cli._arguments import add_plugin, kinds_of

MARKS = {"kept": "✓", "violated": "✗", "skipped": "–"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    kinds = kinds_of(args.name, args.kind)
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
