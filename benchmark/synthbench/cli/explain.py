"""Explain a store key: what it is computed from, and how it differs from the most similar stored one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="a key or its first digits, from the store or a run folder; see results/tasks.csv")
    parser.add_argument("--run", metavar="DIR", help="a run folder, for keys that are planned but not stored")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    store = open_store(args, create=False)

    from synthbench.study.explain import explain

    plans = [Path(args.run) / "plan.json"] if args.run else sorted(Path("runs").glob("*/plan.json"))
    explanation = explain(args.key, store, plans)
    if args.json:
        print(json.dumps(vars(explanation), indent=1, default=list))
        return 0
    status = "stored" if explanation.stored else "not stored"
    print(f"{explanation.kind} {explanation.key}\n{explanation.label}\n{status}")
    if explanation.nearest is None:
        print(f"the store has no other {explanation.kind} to compare with")
        return 0
    print(f"nearest stored: {explanation.nearest[:12]}; differs in:")
    for path, here, there in explanation.differences:
        print(f"  {path}: {json.dumps(here)} here, {json.dumps(there)} there")
    return 0
