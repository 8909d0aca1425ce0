"""Try a plugin against the contract.

Fits it on small drawn pictures with the smoke budget, in a process of its own, and prints one line per promise:
✓ kept, ✗ violated, – skipped.
Exits with 1 when a promise is violated, and with 3 when none is, but more are skipped than kept.
"""

from __future__ import annotations

import argparse
import json

from synthbench.cli._arguments import add_config, add_plugin, kinds_of, pairs_from

VIOLATED, HARDLY_TRIED = 1, 3
MARKS = {"kept": "✓", "violated": "✗", "skipped": "–"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser)
    add_config(parser, "plugin")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    kinds, config = kinds_of(args.name, args.kind), pairs_from(args)
    from synthbench.plugin.registry import registry
    from synthbench.study.provenance.plugins import full_config
    from synthbench.testing.check_results import hardly_tried
    from synthbench.testing.subprocess import examine_apart

    if config:
        for kind in kinds:
            full_config(registry().load(kind, args.name), config, f"{kind} {args.name!r}")
    rows, told = [], ""
    for kind in kinds:
        findings = []
        if not args.json:
            print(f"{kind} {args.name}")
        for finding in examine_apart(kind, args.name, config):
            findings.append(finding)
            rows.append({"kind": kind, **vars(finding)})
            if not args.json:
                sentence = f": {finding.sentence}" if finding.sentence else ""
                print(f"  {MARKS[finding.status]} {finding.promise}{sentence}", flush=True)
        told = told or hardly_tried(findings)
    violated = sum(row["status"] == "violated" for row in rows)
    if args.json:
        print(
            json.dumps(
                {"name": args.name, "violated": violated, "hardly_tried": bool(told), "findings": rows},
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        counts = [(sum(row["status"] == status for row in rows), status) for status in MARKS]
        print(", ".join(f"{count} {status}" for count, status in counts if count))
        if told:
            print(f"! {told}")
    return VIOLATED if violated else HARDLY_TRIED if told else 0
