"""Create a new plugin: a small distribution that can be installed, checked and run in a study as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=["generator", "segmenter"])
    parser.add_argument("name", metavar="NAME", help="name of the plugin: lower-case letters, digits, hyphens")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the distribution (default: synthbench-NAME)")


def run(args: argparse.Namespace) -> int:
    from synthbench.scaffold import write_plugin

    folder = args.out or Path(f"synthbench-{args.name}")
    for path in write_plugin(args.kind, args.name, folder):
        print(path)
    print(f"\nTry it:\n  pip install --no-deps -e {folder}\n  synthbench check {args.name}")
    return 0
