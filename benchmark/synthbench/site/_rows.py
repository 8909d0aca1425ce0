"""The table of a board: a row per arm, segmenter and amount of real images, with what it can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synthbench.leaderboard.parts import COPYING, GENERATOR_COSTS, Grid, TableCell, duration, grid, records
from synthbench.results import SCRATCH

__all__ = ["Filter", "FilteredRow", "FilteredTable", "filtered_table", "kind_of_generator"]

REAL, CONTROL, TRAINED, DRAWN, READY = (
    "real images alone",
    "control",
    "trained",
    "not trained",
    "ready-made",
)
_CONTROLS = (*COPYING, "copy-paste")
_PRETRAINED, _FROM_SCRATCH = "pretrained", "from scratch"
_CHECKED = {"verified": "verified", "re-run": "verified", "self-reported": "self-reported"}


@dataclass(frozen=True)
class Filter:
    """A choice above the table: the name of an attribute, what it is called, and its values."""

    name: str
    title: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class FilteredRow:
    """A row: its class, its cells, the values of the filters, and the plugin that its method is of."""

    kind: str
    cells: tuple[TableCell, ...]
    attributes: Mapping[str, str]
    generator: str


@dataclass(frozen=True)
class FilteredTable:
    """A table with filters; see `synthbench.leaderboard.parts.Grid`."""

    caption: str
    heads: tuple[tuple[str, str], ...]
    rows: tuple[FilteredRow, ...]
    filters: tuple[Filter, ...]


def kind_of_generator(row: Mapping[str, Any], plugin: str) -> str:
    """Return what kind of synthetic images a row of a leaderboard is about.

    Parameters
    ----------
    row
        Of `synthbench.leaderboard.table`.
    plugin
        The name of its generator's plugin.
    """
    if not row["generator"]:
        return REAL
    if plugin in _CONTROLS or row["generator"] in _CONTROLS:
        return CONTROL
    if row.get("generator_seen"):
        return READY
    return TRAINED if row.get("generator_steps", 0) > 0 else DRAWN


def filtered_table(caption: str, table: pd.DataFrame, plugins: Mapping[str, str], entries: int) -> FilteredTable:
    """Return a leaderboard as a table for people.

    Parameters
    ----------
    caption
    table
        See `synthbench.leaderboard.table`.
    plugins
        Title of a generator → name of its plugin.
    entries
        Of how many entries the rows are; of several, each row names its own.
    """
    rows = records(table)
    kinds = [kind_of_generator(row, plugins.get(row["generator"], row["generator"])) for row in rows]
    starts = [_FROM_SCRATCH if row.get("init", SCRATCH) == SCRATCH else _PRETRAINED for row in rows]
    names = _columns(table, starts, entries)
    shown = grid(caption, table, [name for name in names if name not in _OWN])
    heads, cells = _with_own(shown, names, rows, kinds, starts)
    found = [
        FilteredRow(kind, tuple(own), _attributes(row, of_kind, start), row["generator"])
        for (kind, _), own, row, of_kind, start in zip(shown.rows, cells, rows, kinds, starts, strict=True)
    ]
    return FilteredTable(caption, tuple(heads), tuple(found), _filters(found))


_OWN = {"kind": "generator", "start": "starts", "additional_cost": "additional time", "whose": "scores of"}
_HEADINGS = {"arm": "trained on", "verification": "scores"}


def _columns(table: pd.DataFrame, starts: Sequence[str], entries: int) -> list[str]:
    """Return the columns that people need to compare: the few that say something in this table."""
    several = [name for name in ("dataset", "tested_on") if table[name].nunique() > 1]
    seen = ["weights_seen"] if "weights_seen" in table and (table["weights_seen"] != "").any() else []
    gains = [name for name in ("recovered",) if name in table and table[name].notna().any()]
    several_entries = entries > 1 and "entry" in table
    checked = [name for name in ("verification",) if name in table and not several_entries]
    whose = ["whose"] if several_entries else []
    start = ["start"] if len(set(starts)) > 1 or starts[0] != _FROM_SCRATCH else []
    metric = str(table["metric"].iloc[0])
    names = ["arm", "kind", *several, "fraction", "segmenter", *start, *seen, metric, "delta", "verdict", *gains]
    return [*names, "additional_cost", *checked, *whose]


def _with_own(
    shown: Grid,
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    kinds: Sequence[str],
    starts: Sequence[str],
) -> tuple[list[tuple[str, str]], list[list[TableCell]]]:
    known = {name: number for number, (name, _) in enumerate(shown.heads)}
    titles = {**dict(shown.heads), **_OWN, **_HEADINGS}
    heads = [(name, titles[name]) for name in names]
    cells = []
    for (_, of_row), row, kind, start in zip(shown.rows, rows, kinds, starts, strict=True):
        own = {"kind": TableCell(kind, kind, "text"), "start": TableCell(start, start, "text")}
        own["additional_cost"] = _additional_cost(row)
        own["whose"] = _whose(row)
        cells.append([of_row[known[name]] if name in known else own[name] for name in names])
    return heads, cells


def _whose(row: Mapping[str, Any]) -> TableCell:
    """Return the entries that a row's trainings come from, and how far their scores were verified."""
    shown = f"{row.get('entry', '')} ({row.get('verification', '')})"
    return TableCell(shown, shown, "text")


def _additional_cost(row: Mapping[str, Any]) -> TableCell:
    if not row["generator"]:
        return TableCell("–", "0", "blank")
    known = [float(row[name]) for name in GENERATOR_COSTS if name in row and not pd.isna(row[name])]
    return TableCell(duration(sum(known)), repr(sum(known)), "number") if known else TableCell("n/a", "", "blank")


def _attributes(row: Mapping[str, Any], kind: str, start: str) -> dict[str, str]:
    where = row["dataset"] if row["tested_on"] == row["dataset"] else f"{row['dataset']} → {row['tested_on']}"
    found = {
        "dataset": str(where),
        "segmenter": str(row["segmenter"]),
        "amount": str(int(row["fraction"])),
        "kind": kind,
        "start": start,
    }
    return found | ({"checked": _CHECKED[row["verification"]]} if "verification" in row else {})


_TITLES = {
    "dataset": "dataset",
    "segmenter": "segmenter",
    "amount": "real images",
    "kind": "generator",
    "start": "segmenter starts",
    "checked": "scores",
}


def _filters(rows: Sequence[FilteredRow]) -> tuple[Filter, ...]:
    found = []
    for name, title in _TITLES.items():
        values = list(dict.fromkeys(row.attributes[name] for row in rows if name in row.attributes))
        if len(values) > 1:
            found.append(Filter(name, title, tuple(sorted(values, key=int) if name == "amount" else values)))
    return tuple(found)
