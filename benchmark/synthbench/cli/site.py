"""Write boards as static pages: an index, a page per board, method and dataset, downloads, and how to read them.

The pages need no server and ask no other host for anything. The same boards give the same files. Folders without a
board.yaml are ignored. Test images are shown where their dataset is in the library, or is given with --data, and its
licence allows excerpts (CC0, public domain, MIT, CC BY); otherwise predictions are outlines on a plain ground.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("boards", metavar="BOARDS", help="a folder of boards, or a board")
    parser.add_argument("--out", metavar="DIR", default="site", help="folder of the site (default: site)")
    parser.add_argument(
        "--data",
        metavar="DATASET",
        action="append",
        default=[],
        help="a dataset whose images may be shown, by its name in the library or as a path; repeatable",
    )


def run(args: argparse.Namespace) -> int:
    from synthbench.io.escaping import printable
    from synthbench.leaderboard.parts import counted
    from synthbench.site.building import build_site

    built = build_site(Path(args.boards).expanduser(), Path(args.out).expanduser(), args.data)
    for note in built.notes:
        print(printable(note), file=sys.stderr)
    print(
        f"{built.folder}: {counted(built.boards, 'board')}, {built.pages} pages, {built.pictures} pictures, "
        f"{built.size / 2**20:.1f} MiB; open {built.folder / 'index.html'}"
    )
    return 0
