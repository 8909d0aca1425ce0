"""Options of `synthbench dataset` that say how images and masks are imported."""

from __future__ import annotations

import argparse
from typing import Any

from synthbench.cli._arguments import label_value


def add_import_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--task", choices=["instances", "semantic"], help="what the masks contain (default: instances)")
    parser.add_argument(
        "--classes", type=_names, default=(), metavar="A,B", help="classes of a semantic set, background first"
    )
    parser.add_argument("--components", action="store_true", help="make each connected component of a mask an object")
    parser.add_argument(
        "--ignore",
        type=label_value,
        metavar="VALUE",
        help="value of masks where the label is unknown, such as 255; these pixels are neither trained on nor scored",
    )
    parser.add_argument(
        "--white",
        type=_number,
        metavar="VALUE",
        help="white level of all images (4095 for 12 bits in 16, 1 for some floats)",
    )
    parser.add_argument(
        "--trust-masks",
        dest="trusted",
        action="store_true",
        help="don't check whether label maps are binary masks, classes or photographs",
    )


def add_channels_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the channels of the images."""
    parser.add_argument(
        "--channels", type=_names, default=(), metavar="A,B", help="names of the channels, such as nuclear,membrane"
    )


def add_origin_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the published datasets that the images come from."""
    parser.add_argument(
        "--derived-from",
        type=_origins,
        metavar="A,B",
        help="published datasets that the images come from, such as dsb2018, or none for images of your own; studies "
        "compare them with what weights were trained on",
    )


def import_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options by the names of parameters of `synthbench.datasets.importing.prepare_import`."""
    return {name: getattr(args, name) for name in ("task", "classes", "components", "ignore", "white", "trusted")}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _origins(text: str) -> tuple[str, ...]:
    names = _names(text)
    if not all(any(map(str.isalnum, name)) for name in names):
        raise argparse.ArgumentTypeError(f"{text!r}: give names of datasets, such as dsb2018, or none")
    return () if names == ("none",) else names


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number; expected a pixel value such as 4095") from None
