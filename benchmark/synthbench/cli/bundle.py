"""Write a finished run into one file that others can verify.

The file is a ZIP with the study, splits, dataset fingerprints, plan, environment, tables, the leaderboard, predictions
on the test images, a few drawn samples of each generator, costs, licences and citations, and RO-Crate metadata. It
holds no image of a dataset, no path and no name of this machine. The same run gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run folder, as 'synthbench run' writes it")
    parser.add_argument("--out", metavar="FILE", help="the bundle (default: RUN.zip in the current folder)")
    parser.add_argument("--samples", action="store_true", help="all drawn samples, instead of a few of each generator")
    parser.add_argument("--weights", action="store_true", help="trained weights too, as safetensors")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    from synthbench.bundle.writing import write_bundle

    folder = Path(args.folder).expanduser()
    out = Path(args.out).expanduser() if args.out else Path(f"{folder.resolve().name}.zip")
    written = write_bundle(folder, open_store(args, create=False), out, every_sample=args.samples, weights=args.weights)
    for note in written.notes:
        print(note, file=sys.stderr)
    print(
        f"{written.path}: {written.size / 2**20:.1f} MiB, {written.predictions} predictions, "
        f"{written.samples} drawn samples; check it: synthbench verify {written.path}"
    )
    return 0
