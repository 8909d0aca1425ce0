"""Segment a folder of images with a trained segmenter of a study.

TARGET is a run folder, a study file that was run, or a key of the store. Of several trained segmenters the best on
validation images is taken, unless options name one; test images choose nothing. Large images are segmented in tiles
without seams. Written are label maps at the size of the images and overlays; --form adds COCO and GeoJSON for QuPath.
Images that can't be read are skipped, with exit code 3. The folder appears when all are segmented; a command that was
stopped goes on from there when it is given again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store
from synthbench.cli._trained_options import add_device, add_segmenter, chosen_segmenter, print_notes, words_of

__all__ = ["add_arguments", "run"]

SOME_SKIPPED = 3

RESUMES = True
"""Images that were segmented before it was stopped aren't segmented again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="a run folder, a study file, or a key of the store")
    parser.add_argument("images", metavar="IMAGES", help="a folder of images (TIFF, PNG, JPEG, BMP), or one image")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write: new, or empty")
    parser.add_argument(
        "--form",
        default="labels,overlay",
        metavar="A,B",
        help="labels (always), overlay, coco, geojson (default: labels,overlay)",
    )
    parser.add_argument(
        "--tile", type=int, default=2048, metavar="N", help="side of the tiles of larger images (default: 2048)"
    )
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="overlap of tiles in pixels (default: an eighth of a tile)"
    )
    add_segmenter(parser)
    add_device(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    from synthbench.cli._progress_bar import progress_bar
    from synthbench.environments.commands import run_command
    from synthbench.inference.predicting import predict_folder

    store = open_store(args, create=False)
    chosen = chosen_segmenter(args, store)
    if chosen.trained.environment:
        print_notes(chosen.notes)
        words = words_of(args, chosen.trained.key, store, ("out", "form", "tile", "overlap"))
        return run_command(chosen.trained.environment, ["predict", words[0], args.images, *words[1:]])
    with progress_bar(f"predicting with {chosen.trained.plugin}") as progress:
        predicted = predict_folder(
            chosen,
            Path(args.images).expanduser(),
            Path(args.out).expanduser(),
            forms=[part.strip() for part in args.form.split(",") if part.strip()],
            tile=args.tile,
            overlap=args.overlap,
            device=args.device,
            threads=args.threads,
            progress=progress,
        )
    print_notes(predicted.notes)
    if args.json:
        print(json.dumps({"folder": str(predicted.folder), **predicted.about}, indent=1, ensure_ascii=False))
    else:
        print(f"{predicted.folder}: {predicted.about['images']} images segmented by {chosen.trained.label}")
    return SOME_SKIPPED if predicted.skipped else 0
