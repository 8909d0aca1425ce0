"""What commands that use a trained model have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where the model computes, and how the command reports."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:n")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: as many as make sense)")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def print_notes(notes: Iterable[str]) -> None:
    """Print what the user should know, a line each, on standard error."""
    from synthbench.io.escaping import printable

    for note in notes:
        print(f"! {printable(note)}", file=sys.stderr)


def words_of(args: argparse.Namespace, key: str, store: Any, names: Iterable[str]) -> list[str]:
    """Return the command line of the same command for a key, to be run in another environment.

    Parameters
    ----------
    args
    key
        Takes the place of what the user named.
    store
    names
        Options that are passed on, beside those of `add_device`.
    """
    words = [key, "--store", str(store.root)]
    for name in (*names, "device", "threads", "json"):
        value = getattr(args, name)
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value not in (None, False):
            words += [option, str(value)]
    return words


def add_segmenter(parser: argparse.ArgumentParser) -> None:
    """Add which trained segmenter is meant; `chosen_segmenter` reads it."""
    which = parser.add_argument_group("which segmenter, if TARGET has several (default: the best on validation images)")
    which.add_argument("--segmenter", metavar="NAME", help="its title in the study")
    which.add_argument("--arm", metavar="NAME", help="the arm, as in the leaderboard: real, 'real + pix2pix × 45' …")
    which.add_argument("--seed", type=int, metavar="N", help="the segmenter seed")
    which.add_argument("--generator-seed", type=int, metavar="N", help="the generator seed of the arm")
    which.add_argument("--dataset", metavar="NAME", help="the dataset that it was trained on")
    which.add_argument("--fold", type=int, metavar="N", help="the fold (default: the first)")
    which.add_argument("--fraction", type=int, metavar="N", help="the number of real images (default: the largest)")


def chosen_segmenter(args: argparse.Namespace, store: Any) -> Any:
    """Return the trained segmenter that the arguments mean, as a `ChosenSegmenter`; validation images may be scored."""
    from synthbench.cli._progress_bar import progress_bar
    from synthbench.inference.choosing import choose_segmenter
    from synthbench.runner import Machine

    names = ("dataset", "fold", "fraction", "segmenter", "arm", "generator_seed", "seed")
    chosen = {name: getattr(args, name) for name in names}
    kind = Machine(device=args.device).kind()
    with progress_bar("comparing on validation images") as progress:
        return choose_segmenter(args.target, store, chosen=chosen, device=args.device, kind=kind, progress=progress)
