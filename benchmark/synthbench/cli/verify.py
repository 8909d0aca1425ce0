"""Check a bundle of 'synthbench bundle': hashes, consistency, statistics; with --data also every score.

Splits, fingerprints and keys are computed again from the study, statistics and the leaderboard from the tables, and
predictions are compared with the tables by their hashes. With --data, scores are computed again from the predictions
and the true labels. Each problem is one line; the exit code is then 1. It is 2 for a file that is no bundle.
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
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench.bundle.verifying import verify_bundle
    from synthbench.cli._findings_text import findings_lines

    findings = verify_bundle(Path(args.bundle).expanduser(), args.data)
    if args.json:
        print(json.dumps({"valid": not findings.problems, **asdict(findings)}, indent=1))
    else:
        for line in findings_lines(findings, args.bundle):
            print(line)
    return 1 if findings.problems else 0
