"""Rows of a board that were computed under different conditions: devices, versions of packages, states of the code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from synthbench.leaderboard._formatting import listed

__all__ = ["MADE_BY", "entries", "mixtures"]

MADE_BY = ("device", "versions", "code")
_MAX_LISTED = 6


def entries(rows: pd.DataFrame, name: str) -> str:
    """Return what a column of lists in text holds in any row, as one such list."""
    return ", ".join(sorted(_entries(rows, name)))


def mixtures(table: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each way in which the rows of a table were computed under different conditions."""
    if len(devices := sorted(_entries(table, "device"))) > 1:
        yield (f"Rows mix devices: {listed(devices)}. Their precision differs, which may explain part of a difference.")
    for column, noun in (("versions", "versions"), ("code", "states of the code")):
        mixed = [f"{name} {listed(sorted(kinds))}" for name, kinds in sorted(_by_name(table, column).items())]
        if mixed:
            more = f"; and {len(mixed) - _MAX_LISTED} more" if len(mixed) > _MAX_LISTED else ""
            yield f"Rows mix {noun}: {'; '.join(mixed[:_MAX_LISTED])}{more}. This may explain part of a difference."


def _by_name(table: pd.DataFrame, column: str) -> dict[str, set[str]]:
    """Return the names that occur in more than one form: name → forms."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in _entries(table, column):
        name, _, form = entry.partition(" ")
        found[name].add(form)
    return {name: forms for name, forms in found.items() if len(forms) > 1}


def _entries(rows: pd.DataFrame, name: str) -> set[str]:
    texts = rows[name].fillna("").astype(str) if name in rows else pd.Series(dtype=str)
    return {entry for text in texts for entry in text.split(", ") if entry}
