"""Say what to do next with the images of a run: annotate more, add synthetic ones, train longer, or nothing.

For each dataset, amount of real images and segmenter it tells the expected gain with its 95 % interval and the cost, as
far as the run has measured them; what it hasn't measured is not known.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run folder, as 'synthbench run' writes it")
    parser.add_argument("--minutes-per-image", type=float, metavar="M", help="how long it takes to annotate an image")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from synthbench import load_results
    from synthbench.errors import ConfigError
    from synthbench.leaderboard.advice import advice, lines

    minutes = args.minutes_per_image
    if minutes is not None and not 0 < minutes < float("inf"):
        raise ConfigError(f"--minutes-per-image {minutes:g}: give a number above 0")
    found = advice(load_results(args.folder), minutes)
    if args.json:
        print(json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(lines(found)))
    return 0
