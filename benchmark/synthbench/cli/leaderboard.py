"""Show the leaderboard of a run: in the terminal, or as Markdown, CSV, JSON or HTML.

The table has one row per arm and segmenter: mean scores over seeds, the difference from real images alone with its 95 %
interval, the ranks that are compatible with the data, the number of trainings, and their cost.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from synthbench.cli._arguments import COLUMNS, columns_from

__all__ = ["add_arguments", "run"]

FORMATS = ("md", "csv", "json", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run folder, as 'synthbench run' writes it")
    parser.add_argument("--format", choices=FORMATS, default="md", help="default: md")
    parser.add_argument("--iou", default="0.5", help="threshold of differences and ranks: 0.5 … 0.95, or mean")
    parser.add_argument(
        "--aggregation", choices=("pooled", "per_image"), default="pooled", help="of F-scores (default: pooled)"
    )
    parser.add_argument("--by", metavar="GROUP", help="a row per group of test images: difficulty, or group:NAME")
    parser.add_argument("--columns", metavar="A,B", help=COLUMNS)
    parser.add_argument("--out", metavar="FILE", help="write there instead of to the terminal")


def run(args: argparse.Namespace) -> int:
    from synthbench import leaderboard, load_results
    from synthbench.errors import ConfigError
    from synthbench.io.atomic import atomic_write

    iou = _threshold(args.iou)
    if args.by and args.format == "html":
        raise ConfigError("--by needs --format md, csv or json; the page shows all groups")
    if args.by and args.columns:
        raise ConfigError("--columns can't be combined with --by")
    columns = columns_from(args)
    results = load_results(args.folder)
    if args.format == "html":
        text = leaderboard.page(results, Path(args.folder), iou, args.aggregation, columns)
    else:
        write = {"md": leaderboard.markdown, "csv": leaderboard.csv, "json": leaderboard.as_json}[args.format]
        if args.by:
            text = write(leaderboard.by_group(results, args.by, iou, args.aggregation))
        else:
            text = write(leaderboard.table(results, iou, args.aggregation, columns=columns))
    if args.out:
        atomic_write(Path(args.out).expanduser(), text)
    else:
        sys.stdout.write(text)
    return 0


def _threshold(text: str) -> float | str:
    from synthbench.errors import ConfigError

    if text == "mean":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--iou {text}: expected a threshold such as 0.75, or 'mean'") from None
