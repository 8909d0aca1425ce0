"""The table that a run ends with; a narrow terminal gets fewer columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._columns import title
from synthbench.leaderboard._convergence import NOT_CONVERGED
from synthbench.leaderboard._formatting import MISSING, duration, first_words, records, short, text
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import headline
from synthbench.leaderboard._overview import ALL_COMPARISONS, overview, overview_lines
from synthbench.leaderboard._render import boards
from synthbench.leaderboard._run_columns import COSTS
from synthbench.leaderboard._tables import table
from synthbench.results import NOT_SEEN

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["terminal", "terminal_by_group"]

_STYLES = {"better": "green", "worse": "red", MISSING: "bold red", "no pairs": "red", "no baseline": "red"}
_STYLES |= {"nothing changed": "red"}
_ERROR = 160
_SEEN, _RISING = "†", "‡"
_NARROWEST_ARM = 16
_AT_A_TIME = 6
"""Further columns that stand beside each other."""
_BY_GROUP = ("value", "images", "segmenter", "arm", "score", "delta", "verdict")


def terminal(
    results: Results, iou: float | str | None = None, columns: Sequence[str] = (), aggregation: str = "pooled"
) -> RenderableType:
    """Return what rich prints.

    That is the headline, what comes first, a table per dataset and amount of real data, cautions and errors.

    Parameters
    ----------
    results
    iou, columns, aggregation
        See `synthbench.leaderboard.table`.
    """
    found = table(results, iou, aggregation, columns=columns)
    parts: list[RenderableType] = [Text(headline(found), style="bold")]
    parts += [*(Text(line) for line in opening_notes(found)), Text()]
    means = overview(results, found, aggregation) if iou in (None, results.study.iou) else None
    if means is not None:
        parts += [_means(means), Text()]
    for heading, part in boards(found):
        parts += [_Fitting(heading, part), Text()]
        asked = list(part.attrs.get("columns", ()))
        for start in range(0, len(asked), _AT_A_TIME):
            parts += [_further(part, asked[start : start + _AT_A_TIME]), Text()]
    notes = caveats(found)
    notes += [f"{r['segmenter']}, {short(r['arm'])}: {r['error'][:_ERROR]}" for r in records(found) if r["error"]]
    parts += [Text(f"! {note}", style="yellow") for note in notes]
    if any(row.get("convergence") == NOT_CONVERGED for row in records(found)):
        parts.append(Text(f"{_RISING} {NOT_CONVERGED}: more steps may change what is found", "dim"))
    if any(_SEEN in _marked(row) for row in records(found)):
        parts.append(
            Text(f"{_SEEN} starts from weights that have seen the dataset of the test images, or may have", "dim")
        )
    parts.append(Text("Δ: from real images alone, paired by seed and test image, with its 95 % interval", style="dim"))
    return Group(*parts)


def terminal_by_group(strata: pd.DataFrame) -> RenderableType:
    """Return what rich prints of `synthbench.leaderboard.by_group`: a table per dataset and amount of real data."""
    parts: list[RenderableType] = []
    for heading, part in boards(strata):
        caption = f"{heading}, by {part['group'].iloc[0]} ({part['aggregation'].iloc[0]})"
        metric = str(part["metric"].iloc[0])
        grid = Table(
            title=Text(caption), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
        )
        for name in _BY_GROUP:
            heading_of = metric if name == "score" else name
            is_text = name in ("value", "segmenter", "arm")
            grid.add_column(Text(title(heading_of, metric)), justify="left" if is_text else "right", overflow="fold")
        for row in records(part):
            grid.add_row(*(Text(short(row["arm"]) if name == "arm" else text(row, name)) for name in _BY_GROUP))
        parts += [grid, Text()]
    return Group(*parts[:-1])


def _means(found: pd.DataFrame) -> RenderableType:
    """Return the table over all comparisons; won and lost are shares of the comparisons."""
    heading, *rows = overview_lines(found)
    grid = Table(title=Text(f"{ALL_COMPARISONS} (mean)"), title_justify="left", title_style="bold", box=None)
    grid.pad_edge, grid.header_style = False, "dim"
    for name in heading:
        grid.add_column(Text(name), justify="left" if name in ("arm", "verdict") else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return grid


class _Fitting:
    """A table with as many of its columns as fit."""

    def __init__(self, heading: str, part: pd.DataFrame) -> None:
        self._heading, self._part = heading, part

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out: list[str] = []
        grid = _grid(self._heading, self._part)
        for name in reversed(_optional(self._part)):
            if _least_width(grid, console, options) <= options.max_width:
                break
            left_out.insert(0, name)
            grid = _grid(self._heading, self._part, left_out)
        yield grid
        if left_out:
            yield Text(f"not shown on {options.max_width} columns: {', '.join(left_out)}", style="dim")


_UNLIMITED = 10_000


def _least_width(grid: Table, console: Console, options: ConsoleOptions) -> int:
    """Return the width at which nothing is cut off, and the names of arms may wrap."""
    arm = grid.columns[1]
    arm.max_width = _NARROWEST_ARM
    width = Measurement.get(console, options.update(width=_UNLIMITED), grid).maximum
    arm.max_width = None
    return width


def _optional(part: pd.DataFrame) -> list[str]:
    """Return the columns that a narrow terminal can do without, the most important first."""
    _, *others = _scores(part)
    return ["done", *(name for name in _last(part) if name != "done"), *map(_score_title, reversed(others)), "time"]


def _last(part: pd.DataFrame) -> list[str]:
    """Return what stands behind the differences, but for the time."""
    return ["rank", "done", *(["verification"] if "verification" in part else [])]


def _scores(part: pd.DataFrame) -> list[str]:
    """Return the columns of scores, the first one that of the differences."""
    metric = str(part["metric"].iloc[0])
    asked = part.attrs.get("columns", ())
    scores = [c for c in map(str, part.columns) if c.startswith(("f1@", "miou", "cldice"))]
    return [c for c in scores if c == metric or c not in asked]


def _score_title(name: str) -> str:
    return title(name).removeprefix("F1").strip()


def _grid(heading: str, part: pd.DataFrame, left_out: Sequence[str] = ()) -> Table:
    first, *others = _scores(part)
    others = [name for name in others if _score_title(name) not in left_out]
    after = [name for name in (*_last(part), "time") if name not in left_out]
    grid = Table(
        title=Text(heading), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    grid.add_column("segmenter", no_wrap=True)
    grid.add_column("arm", overflow="fold", min_width=_NARROWEST_ARM)
    for name in (title(first), *map(_score_title, others), title("delta", str(part["metric"].iloc[0])), *after):
        grid.add_column(name.strip(), justify="right", no_wrap=True)
    last = ""
    for row in records(part):
        lost = row["status"] == MISSING
        grid.add_row(
            Text(_marked(row) if row["segmenter"] != last else ""),
            Text(short(row["arm"])),
            Text(text(row, first), style="bold red" if lost else ""),
            *(Text("–" if lost else text(row, name)) for name in others),
            Text(text(row, "delta"), style=_style(row)),
            *(_after_delta(row, name) for name in after),
        )
        last = row["segmenter"]
    return grid


def _marked(row: dict[str, Any]) -> str:
    """Return the name of a segmenter, with a sign where its weights have seen the test images' dataset, or may have."""
    seen = "" if row.get("weights_seen", "") in ("", NOT_SEEN) else _SEEN
    rising = _RISING if row.get("convergence") == NOT_CONVERGED else ""
    return f"{row['segmenter']} {seen}{rising}".rstrip()


def _after_delta(row: dict[str, Any], name: str) -> Text:
    if name in ("rank", "verification"):
        return Text(text(row, name))
    if name == "time":
        return Text(_time(row))
    return Text(row["completed"], style="" if row["status"] == "ok" else "bold red")


def _further(part: pd.DataFrame, names: Sequence[str]) -> Table:
    """Return the columns that were asked for, in a table of their own: the first one is as wide as a terminal."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("segmenter", no_wrap=True)
    grid.add_column("arm", overflow="fold")
    for name in names:
        grid.add_column(Text(title(name)), justify="right", overflow="fold")
    last = ""
    for row in records(part):
        grid.add_row(
            Text(row["segmenter"] if row["segmenter"] != last else ""),
            Text(short(row["arm"])),
            *(Text(text(row, name)) for name in names),
        )
        last = row["segmenter"]
    return grid


def _style(row: dict[str, Any]) -> str:
    return _STYLES.get(first_words(row["verdict"]), "")


def _time(row: dict[str, Any]) -> str:
    parts = (row.get(name) for name in COSTS)
    seconds = [float(part) for part in parts if part is not None and not pd.isna(part)]
    return duration(sum(seconds)) if seconds else MISSING
