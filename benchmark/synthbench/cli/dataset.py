"""Import, check and show datasets.

  add PATH     import annotated images; the format is detected: images/ with labels/ or masks/, image.png with
               image_masks.png, one mask file per object, COCO JSON, npz with X and y, Cell Tracking Challenge folders
               --groups TABLE.csv reads groups of images from a table (id,well,…), --group-from '{well}_{site}' from
               their file names; a study then keeps a well together with split: {group: well}
  add NAME     create or download a dataset of a plugin (see 'synthbench list datasets'); licence and citation are
               shown first. To import a path with the name of a plugin, write
               ./NAME --name OTHER
  check        duplicates, near duplicates across splits, empty masks, disconnected objects, masks that don't seem to
               be label maps of objects, ignored pixels, sizes; exit code 0, whatever it finds, and 2 if the dataset
               can't be read
  show         write a contact sheet; with --croissant, print the metadata in the Croissant format (JSON-LD)
               instead, also of a dataset of a plugin that hasn't been downloaded
  list         datasets in the library

Datasets are kept in $SYNTHBENCH_HOME/datasets, by default ~/.local/share/synthbench/datasets.
"""

from __future__ import annotations

import argparse

from synthbench.cli._dataset_add import add_dataset
from synthbench.cli._dataset_list import list_datasets
from synthbench.cli._dataset_views import check, show
from synthbench.cli._import_options import add_channels_option, add_import_options, add_origin_option

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="import annotated images, or create or download a dataset of a plugin")
    adding.add_argument("what", metavar="PATH|NAME")
    adding.add_argument("--name", help="name of the dataset (default: that of the folder or plugin)")
    add_import_options(adding)
    adding.add_argument(
        "--groups", metavar="TABLE.csv", help="table of groups: a column of file names or ids, and one per group"
    )
    adding.add_argument(
        "--group-from",
        metavar="PATTERN",
        help="named parts of the file name, as in '{well}_{site}'; {row:1} is one character, * any text",
    )
    adding.add_argument(
        "--truth",
        choices=["gold", "silver", "each"],
        help="segmentations of Cell Tracking Challenge folders; each: gold where a sequence has it, else silver",
    )
    adding.add_argument("--from", dest="archive", metavar="PATH", help="a manually downloaded copy of the file")
    add_channels_option(adding)
    add_origin_option(adding)
    adding.set_defaults(action=add_dataset)
    checking = actions.add_parser("check", help="check a dataset: duplicates, leaks between splits, implausible masks")
    checking.add_argument("what", metavar="NAME|PATH")
    add_import_options(checking)
    checking.set_defaults(action=check)
    showing = actions.add_parser("show", help="write a contact sheet: images beside their outlines or classes")
    showing.add_argument("what", metavar="NAME|PATH")
    showing.add_argument("--out", metavar="FILE.png", help="output file (default: NAME.png in the current folder)")
    showing.add_argument(
        "--croissant", action="store_true", help="print Croissant metadata (JSON-LD), and write no contact sheet"
    )
    showing.add_argument("--count", type=_positive, default=8, help="samples of each split (default 8)")
    add_import_options(showing)
    showing.set_defaults(action=show)
    listing = actions.add_parser("list", help="datasets in the library")
    listing.set_defaults(action=list_datasets)
    for action in (adding, checking, showing, listing):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    return int(args.action(args))


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer ≥ 1")
    return int(text)
