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
