"""Tables of the report page, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import MISSING, first_words, records, short, text
from synthbench.leaderboard._overview import overview_lines

__all__ = ["Grid", "TableCell", "grid", "kind_of", "overview_grid"]


@dataclass(frozen=True)
class TableCell:
    """One cell: what is read, and what it is sorted by (empty: last)."""

    text: str
    sort: str
    kind: str


@dataclass(frozen=True)
class Grid:
    """A table to show: columns as (name, heading), and rows of cells with the row's verdict or status."""

    caption: str
    heads: list[tuple[str, str]]
    rows: list[tuple[str, list[TableCell]]]


def grid(caption: str, rows: pd.DataFrame, names: Sequence[str]) -> Grid:
    """Return some columns of a leaderboard's rows as a table to show."""
    metric = str(rows["metric"].iloc[0])
    cells = [(kind_of(row), [_table_cell(row, name) for name in names]) for row in records(rows)]
    return Grid(caption, [(name, title(name, metric)) for name in names], cells)


def kind_of(row: dict[str, Any]) -> str:
    """Return the class of a row on the page: its verdict, ``"real"`` for the baseline, or that it is missing."""
    if row["status"] == MISSING:
        return MISSING
    return _row_class(row["verdict"])


def _row_class(verdict: str) -> str:
    return "real" if verdict == "baseline" else first_words(verdict).replace(" ", "-")


def _table_cell(row: dict[str, Any], name: str) -> TableCell:
    value = row.get(name)
    shown_text = text(row, name)
    if name == "arm":
        return TableCell(short(row["arm"]), short(row["arm"]), "text")
    if name == "completed":
        return TableCell(shown_text, str(row["runs_ok"] / row["runs_planned"]), row["status"])
    if isinstance(value, str):
        return TableCell(shown_text, value, "verdict" if name == "verdict" else "text")
    if value is None or pd.isna(value):
        return TableCell(shown_text, "", "number" if name == "delta" else "blank")
    return TableCell(shown_text, repr(float(value)), "number")


def overview_grid(found: pd.DataFrame) -> Grid:
    """Return `synthbench.leaderboard.overview` as a table to show."""
    heads, *lines = overview_lines(found)
    rows = [
        (_row_class(line[_VERDICT]), [_overview_cell(row, n, text) for n, text in enumerate(line)])
        for row, line in zip(found.to_dict("records"), lines, strict=True)
    ]
    caption = "All comparisons: mean over datasets, amounts and segmenters"
    return Grid(caption, [(head, head) for head in heads], rows)


_SORTED_BY = ("arm", "delta", "verdict", "rank", "won", "lost", "recovered", "comparisons")
"""What the columns of an overview are sorted by."""
_VERDICT = _SORTED_BY.index("verdict")


def _overview_cell(row: Mapping[Any, Any], column: int, shown_text: str) -> TableCell:
    value = row[_SORTED_BY[column]]
    if column == _VERDICT:
        return TableCell(shown_text, shown_text, "verdict")
    if isinstance(value, str):
        return TableCell(shown_text, shown_text, "text")
    return TableCell(shown_text, "" if pd.isna(value) else repr(float(value)), "number")
