"""Write a trained segmenter of a study in a format that other programs open.

TARGET is a run folder, a study file that was run, or a key of the store. Cellpose and StarDist are written in their own
formats, other networks as TorchScript with a BioImage.IO description. What is written is opened again and compared with
the segmenter on a test image; it is kept only if both compute the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store
from synthbench.cli._trained_options import add_device, add_segmenter, chosen_segmenter, print_notes, words_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="a run folder, a study file, or a key of the store")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write: new, or empty")
    parser.add_argument("--image", metavar="FILE", help="the test image (default: a drawn one)")
    add_segmenter(parser)
    add_device(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    from synthbench.environments.commands import run_command
    from synthbench.export.exporting import export_segmenter

    store = open_store(args, create=False)
    chosen = chosen_segmenter(args, store)
    if chosen.trained.environment:
        print_notes(chosen.notes)
        return run_command(
            chosen.trained.environment, ["export", *words_of(args, chosen.trained.key, store, ("out", "image"))]
        )
    image = Path(args.image).expanduser() if args.image else None
    exported = export_segmenter(chosen, Path(args.out).expanduser(), image)
    print_notes(exported.notes)
    if args.json:
        print(json.dumps({"folder": str(exported.folder), **exported.about}, indent=1, ensure_ascii=False))
    else:
        print(
            f"{exported.folder}: {exported.about['format']} of {chosen.trained.label}; largest difference on the test "
            f"image {exported.about['largest_difference']:.1e} of {exported.about['largest_value']:.3g}"
        )
    return 0
