"""Show the leaderboard of a run, or of several runs, bundles and boards as one: as text, CSV, JSON or HTML.

The table has one row per arm and segmenter: mean scores over seeds, the difference from real images alone with its 95 %
interval, the ranks that are compatible with the data, the number of trainings, and their cost.

Several results are joined if their studies are the same but for the generators; else the field that differs is named.
Results with the same keys are paired, others are shown apart. Each row is marked: re-run, verified (with --data) or
self-reported.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from synthbench.cli._arguments import COLUMNS, columns_from
from synthbench.cli._joined import apart_lines, groups_of, joined_terminal, joined_text

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from synthbench.results import Results

__all__ = ["add_arguments", "run"]

FORMATS = ("terminal", "md", "csv", "json", "html")
LAYOUTS = ("long", "baseline-delta")
FILE_WIDTH = 120
"""Characters of a line of the format terminal where it doesn't go to a terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN|BUNDLE|BOARD", nargs="+", help="run folders, bundles, a board's folder")
    parser.add_argument(
        "--data",
        metavar="DATASET",
        action="append",
        default=[],
        help="verify bundles with this dataset, by its name in the library or as a path; repeatable",
    )
    parser.add_argument("--format", choices=FORMATS, help="default: terminal on a terminal, otherwise md")
    parser.add_argument("--iou", help="threshold of differences and ranks: 0.5 … 0.95, or mean (default: the study's)")
    parser.add_argument(
        "--aggregation", choices=("pooled", "per_image"), default="pooled", help="of F-scores (default: pooled)"
    )
    parser.add_argument(
        "--by",
        metavar="A,B",
        help="a row per group of test images: difficulty, or group:NAME; of several, per combination",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="long",
        help="long: a row per arm; baseline-delta: a table per segmenter and arm with a column per amount of real data "
        "and cells 'score of real (Δ)', with a row per group (--by) or dataset (default: long)",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="with --by or --layout: what is compared, such as jaccard_ap or pq (default: f1)",
    )
    parser.add_argument("--columns", metavar="A,B", help=COLUMNS)
    parser.add_argument("--out", metavar="FILE", help="write there instead of to the terminal")


def run(args: argparse.Namespace) -> int:
    from synthbench import leaderboard, load_results
    from synthbench.errors import ConfigError
    from synthbench.io.atomic import atomic_write

    iou = _threshold(args.iou)
    special = [f"--{name}" for name in ("by", "layout") if getattr(args, name) not in (None, "long")]
    if special and args.format == "html":
        raise ConfigError(f"{special[0]} needs --format terminal, md, csv or json; the page shows all groups")
    if special and args.columns:
        raise ConfigError(f"--columns can't be combined with {special[0]}")
    if args.metric and not special:
        raise ConfigError(
            f"--metric {args.metric} needs --by or --layout baseline-delta; --columns adds scores to the table"
        )
    columns = columns_from(args)
    groups = groups_of(args.folder, args.data)
    results = load_results(args.folder[0]) if groups is None else groups[0].results
    form = args.format or ("terminal" if sys.stdout.isatty() and not args.out else "md")
    compared = _compared(args, results, iou) if special else None
    if form == "terminal":
        if compared is None and groups is not None:
            shown = joined_terminal(groups, iou, columns, args.aggregation)
        elif compared is None:
            shown = leaderboard.terminal(results, iou, columns, args.aggregation)
        elif args.layout == "long":
            shown = leaderboard.terminal_by_group(compared)
        else:
            shown = leaderboard.terminal_baseline_delta(compared)
        if not args.out:
            _console(None if sys.stdout.isatty() else FILE_WIDTH).print(shown)
            return 0
        file = io.StringIO()
        _console(FILE_WIDTH, file).print(shown)
        text = file.getvalue()
    elif form == "html":
        text = leaderboard.page(results, Path(args.folder[0]), iou, args.aggregation, columns)
    elif groups is not None and compared is None:
        text = joined_text(groups, form, iou, args.aggregation, columns)
    else:
        write = {"md": leaderboard.markdown, "csv": leaderboard.csv, "json": leaderboard.as_json}[form]
        if compared is None:
            compared = leaderboard.table(results, iou, args.aggregation, columns=columns)
        text = write(compared)
    if groups is not None and (compared is not None or form == "html"):
        for line in apart_lines(groups):
            print(line, file=sys.stderr)
    if args.out:
        atomic_write(Path(args.out).expanduser(), text)
    else:
        sys.stdout.write(text)
    return 0


def _compared(args: argparse.Namespace, results: Results, iou: float | str | None) -> pd.DataFrame:
    """Return the table that ``--by`` and ``--layout`` ask for."""
    from synthbench import leaderboard
    from synthbench.errors import ConfigError

    groups = [part.strip() for part in (args.by or "").split(",") if part.strip()]
    if args.by is not None and not groups:
        raise ConfigError(f"--by {args.by!r}: expected names of groups, such as difficulty or group:cell_type")
    if args.layout == "long":
        return leaderboard.by_group(results, groups, iou, args.aggregation, metric=args.metric or "")
    return leaderboard.baseline_delta(results, groups, iou, args.aggregation, metric=args.metric or "")


def _console(width: int | None, file: IO[str] | None = None) -> Console:
    from rich.console import Console

    return Console(width=width, file=file, markup=False)


def _threshold(text: str | None) -> float | str | None:
    from synthbench.errors import ConfigError

    if text is None or text == "mean":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--iou {text}: expected a threshold such as 0.75, or 'mean'") from None
