"""What a run found of copies of training images among the images of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthbench.results import load_results

__all__ = ["duplicates_note"]


def duplicates_note(run: Path, row: Mapping[str, Any]) -> str:
    """Return how many synthetic images of a training's generator copy training images, as a sentence.

    Parameters
    ----------
    run
        The run folder.
    row
        See `synthbench.results.sources.trainings_of`.

    Returns
    -------
    str
        Empty where none does. Also said is that nobody looked.

    Raises
    ------
    DataError
        If the tables are damaged.
    """
    table = load_results(run).fidelity
    names = ("dataset", "fold", "fraction", "generator", "generator_seed")
    for name in names:
        table = table[table[name] == row[name]] if name in table else table.iloc[:0]
    column = "train_duplicates"
    found = table[column].dropna() if column in table else table.iloc[:0].index
    if len(found) == 0:
        return "the run has no search for duplicates of training images"
    copies = int(found.max())
    if copies == 0:
        return ""
    return (
        f"in the run, {copies} images of this generator were duplicates of training images: don't count them as new "
        "data (results/fidelity.csv)"
    )
