"""Check a bundle of 'synthbench bundle': hashes, consistency, statistics; with --data also every score.

Splits, fingerprints and keys are computed again from the study, statistics and the leaderboard from the tables, and
predictions are compared with the tables by their hashes. With --data, scores are computed again from the predictions
and the true labels. With --retrain KEY and --data, one training is taken again, with the installed plugins, and its
scores are compared with those of the bundle. Each problem is one line; the exit code is then 1. It is 2 for a file that
is no bundle.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="a file that 'synthbench bundle' wrote")
    parser.add_argument(
        "--data",
        metavar="DATASET",
        action="append",
        default=[],
        help="a dataset of the bundle, by its name in the library or as a path: its test images are scored again; "
        "repeatable",
    )
    parser.add_argument(
        "--retrain", metavar="KEY", help="train once more what has this key in sources.json, and compare; needs --data"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench.bundle.verifying import verify_bundle
    from synthbench.cli._findings_text import findings_lines
    from synthbench.io.escaping import printable

    findings = verify_bundle(Path(args.bundle).expanduser(), args.data)
    retrained = None
    if args.retrain is not None:
        from rich.console import Console

        from synthbench.bundle.retraining import retrain

        progress = Console(stderr=True, markup=False)
        retrained = retrain(Path(args.bundle).expanduser(), args.retrain, args.data, findings, progress)
    if args.json:
        more = {} if retrained is None else {"retrained": asdict(retrained)}
        print(json.dumps({"valid": not findings.problems, **asdict(findings), **more}, indent=1))
    else:
        for line in retrained.differences if retrained else ():
            print(printable(f"differs: {line}").replace("\n", r"\n"))
        for line in findings_lines(findings, args.bundle):
            print(line)
    return 1 if findings.problems else 0
