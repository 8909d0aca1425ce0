"""The layout "baseline (Δ)": one table per segmenter and arm, a row per group, a column per amount of real data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import MINUS, records, short
from synthbench.leaderboard._run_columns import scoring_caption
from synthbench.leaderboard._verdicts import ONE_SEED
from synthbench.results import GROUP, NOT_SEEN, SCRATCH, trained_and_tested

__all__ = ["LayoutTable", "is_baseline_delta", "layout_notes", "layout_tables", "terminal_baseline_delta"]

_NOTHING = "–"
_SIGNIFICANT = "*"
_INCOMPLETE = "†"


@dataclass(frozen=True)
class LayoutTable:
    """One table to print: a heading, column headings, and rows of cells. The first `labels` columns are texts."""

    heading: str
    heads: list[str]
    rows: list[list[str]]
    labels: int


def is_baseline_delta(table: pd.DataFrame) -> bool:
    """Whether a table is one of `synthbench.leaderboard.baseline_delta`."""
    return {"baseline", "real", "amount"} <= set(table.columns)


def layout_tables(table: pd.DataFrame) -> Iterator[LayoutTable]:
    """Yield the tables of `synthbench.leaderboard.baseline_delta`: one per segmenter and arm.

    With groups, a table has one dataset and a row for each combination of values; without groups, a row for each
    dataset.
    """
    groups = [name for name in map(str, table.columns) if name.startswith(GROUP)]
    table = table.assign(dataset=list(map(trained_and_tested, table["dataset"], table["tested_on"])))
    titles = pd.Series([_arm_title(row) for row in records(table)], index=table.index)
    keys = [*([table["dataset"]] if groups else []), table["segmenter"], titles]
    for names, part in table.groupby(keys, sort=False):
        arm, metric = str(names[-1]), title(str(part["metric"].iloc[0]))
        place = f"{names[0]} · " if groups else ""
        scored = f"{metric}, {part['aggregation'].iloc[0]}{scoring_caption(part).replace(' ·', ',')}"
        heading = f"{place}{part['segmenter'].iloc[0]}{_start(part)} · {arm} ({scored})"
        labels = groups or ["dataset"]
        amounts = _amounts(part)
        lines = []
        for values, rows in part.groupby(labels, sort=False):
            images = int(rows["images"].max())
            cells = {str(row["real"]): _cell(row, images) for row in records(rows)}
            lines.append([*map(str, values), str(images), *(cells.get(name, _NOTHING) for name in amounts)])
        heads = [*(name.removeprefix(GROUP) for name in labels), "images", *amounts.values()]
        yield LayoutTable(heading, heads, lines, len(labels))


def layout_notes(table: pd.DataFrame) -> list[str]:
    """Return what must be known to read the tables."""
    cells = [_cell(row, int(row["images"])) for row in records(table)]
    notes = [
        "Cells: score of real images alone (Δ: score of the arm minus that of real images alone, paired by seed and "
        "test image). Columns: amounts of real training images. “–”: nothing was scored. images: test images that a "
        "row rests on; fewer ones behind a Δ are counted in its cell.",
    ]
    if any(_SIGNIFICANT in cell for cell in cells):
        notes.append(
            f"{_SIGNIFICANT} The 95 % interval of this Δ excludes 0. Each cell is taken by itself: of cells without "
            "any effect, about one in twenty is marked."
        )
    if (table["verdict"] == ONE_SEED).any():
        notes.append("With one seed nothing can be decided, so no Δ is marked.")
    if any(_INCOMPLETE in cell for cell in cells):
        notes.append(f"{_INCOMPLETE} Trainings are missing; the numbers are over the others.")
    return notes


def terminal_baseline_delta(table: pd.DataFrame) -> RenderableType:
    """Return what rich prints of `synthbench.leaderboard.baseline_delta`: a table per segmenter and arm."""
    parts: list[RenderableType] = []
    for each in layout_tables(table):
        grid = Table(box=None, pad_edge=False, header_style="dim")
        for number, head in enumerate(each.heads):
            grid.add_column(Text(head), justify="left" if number < each.labels else "right", overflow="fold")
        for cells in each.rows:
            grid.add_row(*(Text(cell, _style(cell)) for cell in cells))
        parts += [Text(each.heading, "bold"), grid, Text()]
    return Group(*parts, *(Text(note, style="dim") for note in layout_notes(table)))


def _arm_title(row: Mapping[str, Any]) -> str:
    """Return an arm's name with the study's name of its amount: ``"pix2pix × 2x"``."""
    arm = short(str(row["arm"]))
    stem, times, rest = arm.rpartition(" × ")
    if not times or not row["synthetic"]:
        return arm
    return f"{stem}{times}{row['amount']}{rest.removeprefix(str(row['synthetic']))}"


def _start(part: pd.DataFrame) -> str:
    """Say that a segmenter starts from trained weights, and whether they may have seen the test images."""
    if (part["init"] == SCRATCH).all():
        return ""
    fair = part["weights_seen"].isin(["", NOT_SEEN]).all()
    return ", pretrained" if fair else ", pretrained: weights have seen this dataset, or may have"


def _amounts(part: pd.DataFrame) -> dict[str, str]:
    """Return the headings of the amounts of real data by their names; with the number of images where it is one."""
    heads = {}
    for name, rows in part.groupby("real", sort=False):
        counts = rows["fraction"].unique()
        heads[str(name)] = f"{name} ({counts[0]} images)" if len(counts) == 1 and "%" in str(name) else str(name)
    return heads


def _cell(row: Mapping[str, Any], images: int) -> str:
    if pd.isna(row["baseline"]):
        return _NOTHING
    if pd.isna(row["delta"]):
        return f"{_number(row['baseline'])} ({_NOTHING})"
    certain = row["verdict"] != ONE_SEED and (row["delta_low"] > 0 or row["delta_high"] < 0)
    complete = all(done == planned for done, planned in (_counts(row, "completed"), _counts(row, "baseline_completed")))
    fewer = f", of {row['delta_images']:.0f} images" if row["delta_images"] < images else ""
    change = f"{_number(row['delta'], signed=True)}{_SIGNIFICANT if certain else ''}"
    return f"{_number(row['baseline'])} ({change}{fewer}){'' if complete else _INCOMPLETE}"


def _counts(row: Mapping[str, Any], name: str) -> Sequence[str]:
    return str(row[name]).split("/")


def _number(value: float, *, signed: bool = False) -> str:
    """Return a score, or a difference with its sign, without the zero before the point: ``".612"``, ``"+.034"``."""
    digits = f"{abs(value):.3f}"
    sign = "" if float(digits) == 0 else MINUS if value < 0 else "+" if signed else ""
    return sign + digits.removeprefix("0")


def _style(cell: str) -> str:
    if _SIGNIFICANT not in cell:
        return ""
    return "red" if f"({MINUS}" in cell else "green"
