"""Make, check and show boards: frozen studies to which anyone can add results.

  new SOURCE   freeze the study of a finished run, or of a bundle of one, into a board with it as the first entry
  add          add a bundle, after it was verified: the same study, splits, datasets and seeds
  check        verify entries (all, or those named): hashes, consistency, and scores computed again from predictions;
               are the tables up to date? Each problem is one line; the exit code is then 1
  data         keep a dataset that you have under other names as the board's: images are recognised by their content
  render       write README.md, leaderboard.md, .csv and .json, and report.html into the folder of the board

To take part: synthbench run BOARD --generators my-method; synthbench bundle runs/…; synthbench board add BOARD FILE.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    making = actions.add_parser("new", help="freeze a finished run into a board")
    making.add_argument("source", metavar="RUN|BUNDLE")
    making.add_argument("--out", metavar="DIR", required=True, help="folder of the board, which is named after it")
    making.add_argument("--question", metavar="TEXT", default="", help="what the board answers, in a sentence")
    making.add_argument("--version", type=int, default=1, metavar="N", help="version of the frozen study (default: 1)")
    adding = actions.add_parser("add", help="add a bundle to a board")
    adding.add_argument("board", metavar="BOARD", help="folder of the board")
    adding.add_argument("source", metavar="RUN|BUNDLE")
    adding.add_argument("--name", default="", help="name of the entry (default: that of the file)")
    for each in (making, adding):
        each.add_argument("--address", metavar="URL", help="where the bundle lies, if it is larger than 5 MB")
        _add_data(each)
        add_store(each)
    checking = actions.add_parser("check", help="verify entries, and whether the tables are up to date")
    checking.add_argument("board", metavar="BOARD", help="folder of the board")
    checking.add_argument("names", metavar="ENTRY", nargs="*", help="entries to verify (default: all)")
    _add_data(checking)
    checking.add_argument(
        "--without-data", action="store_true", help="check everything but the scores, which need the datasets"
    )
    checking.add_argument("--download", action="store_true", help="download entries that have an address")
    checking.add_argument("--json", action="store_true", help="print JSON")
    keeping = actions.add_parser("data", help="keep a dataset that you have under other names as the board's")
    keeping.add_argument("board", metavar="BOARD", help="folder of the board")
    keeping.add_argument("dataset", metavar="DATASET", help="its name in the library, or a path")
    keeping.add_argument(
        "--as", dest="title", metavar="NAME", help="the board's name for it, if it has several datasets"
    )
    keeping.add_argument("--out", metavar="DIR", help="write it to DIR/NAME, instead of into the library")
    rendering = actions.add_parser("render", help="write what the board shows into its folder")
    rendering.add_argument("board", metavar="BOARD", help="folder of the board")
    making.set_defaults(action=_new)
    adding.set_defaults(action=_add)
    checking.set_defaults(action=_check)
    keeping.set_defaults(action=_data)
    rendering.set_defaults(action=_render)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="DATASET",
        action="append",
        default=[],
        help="a dataset of the board, by its name in the library or as a path, to compute scores again; repeatable "
        "(default: datasets of the library with the names of the board's)",
    )


def run(args: argparse.Namespace) -> int:
    return int(args.action(args))


def _new(args: argparse.Namespace) -> int:
    from synthbench.board.creating import new_board
    from synthbench.board.opening import open_board
    from synthbench.board.rendering import render

    source, folder = Path(args.source).expanduser(), Path(args.out).expanduser()
    store = open_store(args, create=False) if source.is_dir() else None
    board, verified = new_board(
        source,
        folder,
        store,
        question=args.question,
        version=args.version,
        data=args.data,
        address=args.address,
    )
    render(open_board(folder))
    how = "verified on " + ", ".join(sorted(verified)) if verified else "self-reported: give the dataset with --data"
    print(f"{folder}: board {board.name}, version {board.version}, with the entry {board.entries[0].name} ({how})")
    print(f"to take part: synthbench run {folder} --generators my-method")
    return 0


def _add(args: argparse.Namespace) -> int:
    from synthbench.board.creating import add_entry
    from synthbench.board.opening import open_board
    from synthbench.board.rendering import render

    source, folder = Path(args.source).expanduser(), Path(args.board).expanduser()
    store = open_store(args, create=False) if source.is_dir() else None
    _, entry = add_entry(folder, source, store, name=args.name, data=args.data, address=args.address)
    opened = open_board(folder)
    render(opened)
    print(f"{folder}: added {entry.name}, {entry.bytes / 2**20:.1f} MiB, {entry.verification}")
    for group in opened.groups[1:]:
        if entry.name in group.entries:
            print(f"{entry.name} stands apart, without pairs with the others: {'; '.join(group.reasons)}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from synthbench.board.checking import check_board
    from synthbench.cli._findings_text import findings_lines

    folder = Path(args.board).expanduser()
    findings = check_board(folder, args.names, args.data, without_data=args.without_data, download=args.download)
    if args.json:
        print(json.dumps({"valid": not findings.problems, **asdict(findings)}, indent=1))
    else:
        for line in findings_lines(findings, args.board):
            print(line)
    return 1 if findings.problems else 0


def _data(args: argparse.Namespace) -> int:
    from synthbench.board.model import read_board
    from synthbench.board.naming import write_named
    from synthbench.cli._progress_bar import progress_bar
    from synthbench.datasets.library import Library, open_dataset
    from synthbench.errors import ConfigError

    board, folder = read_board(args.board)
    if args.title is None and len(board.splits) > 1:
        raise ConfigError(f"{folder}: is on {', '.join(board.splits)}; say which of them this is with --as NAME")
    title = args.title or next(iter(board.splits))
    hint = "give a folder with --out DIR"
    place = Path(args.out).expanduser() / title if args.out else Library().new_folder(title, hint)
    samples, _ = open_dataset(args.dataset)
    with progress_bar(title) as progress:
        kept = write_named(folder, title, samples, place, progress)
    print(
        f"kept {len(kept)} of the {len(samples)} images of {args.dataset} as {title}, under the board's names: {place}"
    )
    where = f" --dataset {place}" if args.out else ""
    print(f"to take part: synthbench run {folder} --generators my-method{where}")
    return 0


def _render(args: argparse.Namespace) -> int:
    from synthbench.board.opening import open_board
    from synthbench.board.rendering import render

    for path in render(open_board(Path(args.board).expanduser())):
        print(path)
    return 0
