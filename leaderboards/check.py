"""Check the boards of a folder: what is new since a commit, or everything. Each problem is a line; then the exit is 1.

python leaderboards/check.py [FOLDER] [--base COMMIT] [--data DATASET]… [--without-data] [--download] [--table FILE]
python leaderboards/check.py [FOLDER] --datasets      the datasets of the boards that the catalogue has, a name per line
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from synthbench.board.changes import board_folders, catalogue_datasets, check_change, markdown
from synthbench.errors import SynthbenchError
from synthbench.io.escaping import printable


def main() -> int:
    """Check all boards; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--base", default="", metavar="COMMIT", help="check only what is new since this commit")
    parser.add_argument("--data", action="append", default=[], metavar="DATASET", help="name or path; repeatable")
    parser.add_argument("--without-data", action="store_true", help="check everything but the scores")
    parser.add_argument("--download", action="store_true", help="download entries that have an address")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the rows before and after there, as Markdown")
    parser.add_argument("--datasets", action="store_true", help="list the datasets of the boards in the catalogue")
    args = parser.parse_args()
    try:
        if args.datasets:
            print("\n".join(catalogue_datasets(args.folder)))
            return 0
        changes = [
            check_change(folder, args.base, args.data, without_data=args.without_data, download=args.download)
            for folder in board_folders(args.folder)
        ]
    except SynthbenchError as error:
        print(f"problem: {printable(str(error))}", file=sys.stderr)
        return 2
    parts = []
    for change in changes:
        print(f"{change.board}: {', '.join(change.added) or 'no entries to verify'}")
        for line in [*(f"problem: {text}" for text in change.problems), *change.notes]:
            print(printable(line).replace("\n", r"\n"))
        parts.append(markdown(change))
    if args.table:
        args.table.write_text("\n".join(parts) or "No boards.\n", encoding="utf-8")
    problems = sum(len(change.problems) for change in changes)
    print(f"{len(changes)} board(s), {problems} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
