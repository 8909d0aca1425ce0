"""``synthbench dataset list``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from synthbench.cli._dataset_row import dataset_row, describe_groups

if TYPE_CHECKING:
    from synthbench.datasets.library import Library


def list_datasets(args: argparse.Namespace) -> int:
    """Print the datasets of the library; return the exit code."""
    from synthbench.datasets.library import Library

    library = Library()
    rows = [_row_or_error(name, library) for name in library.names()]
    if args.json:
        print(json.dumps({"folder": str(library.root), "datasets": rows}, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        if "damaged" in row:
            print(f"{row['name']}: damaged: {row['damaged']}")
            continue
        licence = f", {row['licence']}" if row["licence"] else ""
        without = f" ({row['unlabelled']} without labels)" if row["unlabelled"] else ""
        groups = describe_groups(row["groups"])
        print(f"{row['name']}: {row['samples']} samples{without}, task {row['task']}{groups}{licence}")
    if not rows:
        print(f"no datasets in {library.root} yet; 'synthbench list datasets' shows those of plugins")
    return 0


def _row_or_error(name: str, library: Library) -> dict[str, Any]:
    """Return a dataset's row, or its error, so that a damaged dataset doesn't hide the others."""
    from synthbench.errors import DataError

    try:
        return dataset_row(name, library.open(name))
    except DataError as error:
        return {"name": name, "damaged": str(error)}
