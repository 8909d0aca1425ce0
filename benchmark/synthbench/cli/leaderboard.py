"""Show the leaderboard of a run: in the terminal, or as Markdown, CSV, JSON or HTML.

The table has one row per arm and segmenter: mean scores over seeds, the difference from real images alone with its 95 %
interval, the ranks that are compatible with the data, the number of trainings, and their cost.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from synthbench.cli._arguments import COLUMNS, columns_from

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["add_arguments", "run"]

FORMATS = ("terminal", "md", "csv", "json", "html")
FILE_WIDTH = 120
"""Characters of a line of the format terminal where it doesn't go to a terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run folder, as 'synthbench run' writes it")
    parser.add_argument("--format", choices=FORMATS, help="default: terminal on a terminal, otherwise md")
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
        raise ConfigError("--by needs --format terminal, md, csv or json; the page shows all groups")
    if args.by and args.columns:
        raise ConfigError("--columns can't be combined with --by")
    columns = columns_from(args)
    results = load_results(args.folder)
    form = args.format or ("terminal" if sys.stdout.isatty() and not args.out else "md")
    if form == "terminal":
        if args.by:
            shown = leaderboard.terminal_by_group(leaderboard.by_group(results, args.by, iou, args.aggregation))
        else:
            shown = leaderboard.terminal(results, iou, columns, args.aggregation)
        if not args.out:
            _console(None if sys.stdout.isatty() else FILE_WIDTH).print(shown)
            return 0
        file = io.StringIO()
        _console(FILE_WIDTH, file).print(shown)
        text = file.getvalue()
    elif form == "html":
        text = leaderboard.page(results, Path(args.folder), iou, args.aggregation, columns)
    else:
        write = {"md": leaderboard.markdown, "csv": leaderboard.csv, "json": leaderboard.as_json}[form]
        if args.by:
            text = write(leaderboard.by_group(results, args.by, iou, args.aggregation))
        else:
            text = write(leaderboard.table(results, iou, args.aggregation, columns=columns))
    if args.out:
        atomic_write(Path(args.out).expanduser(), text)
    else:
        sys.stdout.write(text)
    return 0


def _console(width: int | None, file: IO[str] | None = None) -> Console:
    from rich.console import Console

    return Console(width=width, file=file, markup=False)


def _threshold(text: str) -> float | str:
    from synthbench.errors import ConfigError

    if text == "mean":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--iou {text}: expected a threshold such as 0.75, or 'mean'") from None
