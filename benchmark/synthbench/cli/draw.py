"""Draw synthetic images of a trained generator, in the form that another program reads.

TARGET is a run folder, a study file that was run, or a key of the store. Image i depends on the generator and on i
alone: the first images are those that the study drew. Forms: 'folders' has images/ and masks/ with the same names;
'cellpose' has NAME_masks.tif beside each image; 'coco' has images/ and annotations.json. Masks are label maps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from synthbench.cli._arguments import add_store, open_store
from synthbench.cli._trained_options import add_device, print_notes, words_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="a run folder, a study file, or a key of the store")
    parser.add_argument("--n", type=int, default=100, metavar="N", help="number of images (default: 100)")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write: new, or empty")
    parser.add_argument("--form", default="folders", metavar="NAME", help="folders (default), cellpose or coco")
    parser.add_argument(
        "--size",
        default="original",
        metavar="NAME",
        help="of a study with 'scale': original (default), the scale of the dataset; study: as generators drew them",
    )
    which = parser.add_argument_group("which generator, if TARGET has several")
    which.add_argument("--generator", metavar="NAME", help="its title in the study")
    which.add_argument("--dataset", metavar="NAME", help="the dataset that it was trained on")
    which.add_argument("--fold", type=int, metavar="N", help="the fold (default: the first)")
    which.add_argument("--fraction", type=int, metavar="N", help="the number of real images (default: the largest)")
    which.add_argument("--generator-seed", type=int, metavar="N", help="the generator seed (default: the first)")
    add_device(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    from synthbench.cli._progress_bar import progress_bar
    from synthbench.environments.commands import run_command
    from synthbench.inference.drawing import choose_generator, draw_images
    from synthbench.runner import Machine

    store = open_store(args, create=False)
    chosen = choose_generator(
        args.target,
        store,
        generator=args.generator,
        dataset=args.dataset,
        fold=args.fold,
        fraction=args.fraction,
        seed=args.generator_seed,
        device=Machine(device=args.device).kind(),
    )
    if chosen.trained.environment:
        print_notes(chosen.notes)
        words = words_of(args, chosen.trained.key, store, ("n", "out", "form", "size"))
        return run_command(chosen.trained.environment, ["draw", *words])
    with progress_bar(f"drawing {chosen.trained.plugin}") as progress:
        drawn = draw_images(
            chosen,
            args.n,
            Path(args.out).expanduser(),
            form=args.form,
            size=args.size,
            device=args.device,
            threads=args.threads,
            progress=progress,
        )
    print_notes(drawn.notes)
    if args.json:
        print(json.dumps({"folder": str(drawn.folder), **drawn.about}, indent=1, ensure_ascii=False))
    else:
        print(f"{drawn.folder}: {args.n} images of {chosen.trained.label}")
    return 0
