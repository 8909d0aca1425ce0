"""Try a plugin against the contract.

Fits it on small drawn pictures with the smoke budget and prints one line per promise: ✓ kept, ✗ violated, – not tried.
Exits with 1 when a promise is violated.
"""

from __future__ import annotations

import argparse
import json

from synthbench.cli._arguments import add_config, add_plugin, kinds_of, pairs_from

MARKS = {"kept": "✓", "violated": "✗", "skipped": "–"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_config(parser, "plugin")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    kinds, config = kinds_of(args.name, args.kind), pairs_from(args)
    from synthbench.describe import full_config
    from synthbench.plugin.registry import registry
    from synthbench.testing.contract import examine_plugin

    if config:
        for kind in kinds:
            full_config(registry().load(kind, args.name), config, f"{kind} {args.name!r}")
    rows = []
    for kind in kinds:
        if not args.json:
            print(f"{kind} {args.name}")
        for finding in examine_plugin(kind, args.name, config):
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
