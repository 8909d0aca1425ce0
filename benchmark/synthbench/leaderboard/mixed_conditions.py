"""Rows of a board that weren't made alike: on several devices, with several versions, by several states of the code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from synthbench.leaderboard.formatting import listed

MADE_BY = ("device", "versions", "code")
_TOLD = 6


def entries(rows: pd.DataFrame, name: str) -> str:
    """Return what a column of lists in text holds in any row, as one such list."""
    return ", ".join(sorted(_entries(rows, name)))


def mixtures(table: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each way in which the rows of a table weren't made alike."""
    if len(devices := sorted(_entries(table, "device"))) > 1:
        yield (
            f"Rows mix devices: {listed(devices)}. They compute with different precision, so that part of a difference "
            "may be theirs."
        )
    for column, noun in (("versions", "versions"), ("code", "states of the code")):
        found = [f"{name} {listed(sorted(kinds))}" for name, kinds in sorted(_by_name(table, column).items())]
        if found:
            more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            yield f"Rows mix {noun}: {'; '.join(found[:_TOLD])}{more}. Part of a difference may be theirs."


def _by_name(table: pd.DataFrame, column: str) -> dict[str, set[str]]:
    """Return what is there in more than one form: name → forms."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in _entries(table, column):
        name, _, form = entry.partition(" ")
        found[name].add(form)
    return {name: forms for name, forms in found.items() if len(forms) > 1}


def _entries(rows: pd.DataFrame, name: str) -> set[str]:
    texts = rows[name].fillna("").astype(str) if name in rows else pd.Series(dtype=str)
    return {entry for text in texts for entry in text.split(", ") if entry}
