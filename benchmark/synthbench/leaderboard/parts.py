"""The parts of a page about results: sentences, tables and charts, for the report of a run and for other pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.leaderboard import _charts as charts
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._columns import definition, title
from synthbench.leaderboard._curves import difference_lines, learning_lines, score_lines
from synthbench.leaderboard._formatting import MISSING, delta, duration, number, records, short, signed
from synthbench.leaderboard._gain_chart import Point, gains_by_cost
from synthbench.leaderboard._grids import Grid, TableCell, grid, kind_of, overview_grid
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import COPYING, counted, design, details, headline
from synthbench.leaderboard._overview import ABOUT_OVERVIEW, overview
from synthbench.leaderboard._render import boards, cost_columns, fidelity_tables, generators, shown
from synthbench.leaderboard._run_columns import COSTS
from synthbench.leaderboard._tables import table
from synthbench.leaderboard._verdicts import REAL, UNCHANGED, headline_metric
from synthbench.leaderboard.advice import Advice, advice
from synthbench.results import trained_and_tested

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = [
    "COPYING",
    "COST_WORDS",
    "GENERATOR_COSTS",
    "Grid",
    "PageParts",
    "TableCell",
    "counted",
    "delta",
    "duration",
    "gain_charts",
    "grid",
    "kind_of",
    "page_parts",
    "records",
    "short",
]

COST_WORDS = {
    "generator_seconds": "generator",
    "draw_seconds": "drawing",
    "pretraining_seconds": "pretraining",
    "fit_seconds": "segmenter",
    "predict_seconds": "predicting",
}
GENERATOR_COSTS = ("generator_seconds", "draw_seconds")
"""What an arm costs beside the training of its segmenter."""


@dataclass(frozen=True, eq=False)
class PageParts:
    """What a page shows of results; texts are plain, and may be of unknown origin.

    Attributes
    ----------
    table : DataFrame
        See `synthbench.leaderboard.table`.
    headline, design : str
    opening_notes, caveats : list of str
    details : list of (str, list of str)
    advice : list of Advice
    aggregation : str
    label_consistency : bool
        Whether a table has such a column.
    overview : Grid or None
        See `synthbench.leaderboard.overview`; None at another IoU threshold than the study's.
    boards, fidelity, cost_tables : list of Grid
    notes : list of (str, str, str)
        Name, heading and definition of all columns.
    forests, costs : list of dict
        For the macros of ``parts.html``.
    curves, learning : list of dict
        ``title`` and ``charts``.
    blocks : list of ComparisonBlock
    about_overview : str
    """

    table: pd.DataFrame
    headline: str
    design: str
    opening_notes: list[str]
    caveats: list[str]
    details: list[tuple[str, list[str]]]
    advice: list[Advice]
    aggregation: str
    label_consistency: bool
    overview: Grid | None
    boards: list[Grid]
    fidelity: list[Grid]
    cost_tables: list[Grid]
    notes: list[tuple[str, str, str]]
    forests: list[dict[str, Any]]
    costs: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    learning: list[dict[str, Any]]
    blocks: list[ComparisonBlock]
    about_overview: str = ABOUT_OVERVIEW


def page_parts(
    results: Results,
    iou: float | str | None = None,
    aggregation: str = "pooled",
    columns: Sequence[str] = (),
    found: pd.DataFrame | None = None,
) -> PageParts:
    """Return the parts of a page about results.

    Parameters
    ----------
    results
    iou, aggregation, columns
        See `synthbench.leaderboard.table`, also for errors.
    found
        What `synthbench.leaderboard.table` returns for these arguments, if it is there already.
    """
    iou = results.study.iou if iou is None else iou
    whole = table(results, iou, aggregation, columns=columns) if found is None else found
    study_blocks = list(blocks(results))
    places = _places(study_blocks)
    parts = list(boards(whole))
    used = [name for _, part in parts for name in _all_columns(part)]
    metric = str(whole["metric"].iloc[0])
    means = overview(results, whole, aggregation) if iou == results.study.iou else None
    return PageParts(
        table=whole,
        headline=headline(whole),
        design=design(whole, [block.images for block in study_blocks]),
        opening_notes=opening_notes(whole),
        caveats=caveats(whole),
        details=details(whole),
        advice=advice(results, board=whole),
        aggregation=aggregation,
        label_consistency="label_consistency" in used,
        overview=None if means is None else overview_grid(means),
        boards=[grid(heading, part, shown(part)) for heading, part in parts],
        fidelity=[each for heading, part in parts for each in _fidelity(heading, part)],
        cost_tables=[grid(heading, part, ["segmenter", "arm", *cost_columns(part)]) for heading, part in parts],
        notes=[(name, title(name, metric), definition(name)) for name in [*dict.fromkeys(used), "aggregation"]],
        forests=[forest for heading, part in parts if (forest := _forest(heading, part))["rows"]],
        costs=[_costs(heading, part) for heading, part in parts],
        curves=[
            _curves(block, places, aggregation)
            for block in study_blocks
            if block.task != "semantic" and len(block.images)
        ],
        learning=list(_learning(study_blocks, places, iou, aggregation)),
        blocks=study_blocks,
    )


def _places(study_blocks: Sequence[ComparisonBlock]) -> dict[str, int]:
    """Return the number of each arm, which gives it its colour everywhere on a page."""
    arms = dict.fromkeys([REAL, *(arm for block in study_blocks for arm in block.arms)])
    return {arm: place for place, arm in enumerate(arms)}


def _all_columns(board: pd.DataFrame) -> list[str]:
    of_samples = [name for names in fidelity_tables(board).values() for name in names]
    return [*shown(board), *of_samples, *cost_columns(board)]


def _forest(heading: str, board: pd.DataFrame) -> dict[str, Any]:
    rows = [r for r in records(board) if r["verdict"] != "baseline"]
    axis = charts.span_of(rows)
    metric = title(str(board["metric"].iloc[0]))
    digits = max(2, len(f"{axis.step:.6f}".rstrip("0").partition(".")[2]))
    shown_rows = [
        {
            "segmenter": row["segmenter"],
            "arm": short(row["arm"]),
            "generator": row["generator"],
            "kind": kind_of(row),
            "text": delta(row),
            "verdict": row["verdict"],
            "at": None if pd.isna(row["delta"]) else f"{axis(row['delta']):.3f}%",
            "ends": None
            if pd.isna(row["delta_low"]) or row["verdict"] == UNCHANGED
            else [f"{axis(row[k]):.3f}%" for k in ("delta_low", "delta_high")],
        }
        for row in rows
    ]
    ticks = [(f"{axis(t):.3f}%", number(t, digits) if t else "0") for t in axis.ticks]
    return {"heading": heading, "metric": metric, "rows": shown_rows, "ticks": ticks, "zero": f"{axis(0):.3f}%"}


def _curves(block: ComparisonBlock, places: dict[str, int], aggregation: str) -> dict[str, Any]:
    lines = score_lines(block, places, aggregation)
    description = "; ".join(f"{line.label} from {line.mid[0]:.3f} to {line.mid[-1]:.3f}" for line in lines)
    drawings = [
        charts.curves(lines, f"F-score by IoU threshold, {block.title}", description, f"F-score ({aggregation})")
    ]
    differences = difference_lines(block, places, aggregation, REAL)
    if differences:
        description = "; ".join(f"{line.label} from {line.mid[0]:+.3f} to {line.mid[-1]:+.3f}" for line in differences)
        heading = f"Difference in F-score from real images alone by IoU threshold, {block.title}"
        drawings.append(charts.curves(differences, heading, description, "difference from real", zero_line=True))
    return {"title": block.title, "charts": drawings}


def _learning(
    study_blocks: Sequence[ComparisonBlock], places: dict[str, int], iou: float | str, aggregation: str
) -> Iterator[dict[str, Any]]:
    """Yield a chart for each dataset, test set and segmenter with several amounts of real images."""
    for block in study_blocks:
        parts = [each for each in block.at_all_amounts(study_blocks) if len(each.images)]
        if len({each.fraction for each in parts}) < 2 or block is not parts[0]:
            continue
        metric, name = headline_metric(block.task, iou)
        lines = learning_lines(parts, places, metric, iou, aggregation)
        heading = f"{block.segmenter} on {trained_and_tested(block.dataset, block.tested_on)}"
        description = "; ".join(
            f"{line.label}: {', '.join(f'{y:.3f} with {x:.0f}' for x, y in zip(line.x, line.mid, strict=True))}"
            for line in lines
        )
        drawing = charts.amounts(lines, f"Score by number of real images, {heading}", description, title(name))
        yield {"title": heading, "charts": [drawing]}


def _fidelity(heading: str, board: pd.DataFrame) -> list[Grid]:
    made = generators(board)
    return [
        grid(f"{heading}: {caption}", made, ["generator", *names]) for caption, names in fidelity_tables(board).items()
    ]


def _costs(heading: str, board: pd.DataFrame) -> dict[str, Any]:
    rows = []
    for row in records(board):
        seconds = {name: float(row[name]) for name in COSTS if name in row and not pd.isna(row[name])}
        rows.append((row, seconds, sum(seconds.values())))
    most = max((total for *_, total in rows), default=0.0) or 1.0
    return {
        "heading": heading,
        "rows": [
            {
                "segmenter": row["segmenter"],
                "arm": short(row["arm"]),
                "total": duration(total) if seconds else MISSING,
                "description": ", ".join(f"{COST_WORDS[name]} {duration(value)}" for name, value in seconds.items()),
                "parts": _stacked(seconds, most),
            }
            for row, seconds, total in rows
        ],
    }


def _stacked(seconds: dict[str, float], most: float) -> list[tuple[str, str, str]]:
    """Return the name, start and width of each part of a bar."""
    ends = np.cumsum([0.0, *seconds.values()]) * 100 / most
    return [(name, f"{ends[i]:.3f}%", f"{ends[i + 1] - ends[i]:.3f}%") for i, name in enumerate(seconds)]


def gain_charts(parts: PageParts) -> list[dict[str, Any]]:
    """Return a chart for each segmenter of each board with several arms: their gain over what they cost in addition.

    What an arm costs in addition is the time to train its generator and to draw its samples. One without these times,
    or without a difference, isn't drawn.
    """
    drawings, places = [], _places(parts.blocks)
    for heading, board in boards(parts.table):
        for segmenter, rows in board.groupby("segmenter", sort=False):
            known = [name for name in GENERATOR_COSTS if name in rows]
            points = [
                Point(short(row["arm"]), seconds, row["delta"], row["delta_low"], row["delta_high"], places[row["arm"]])
                for row in records(rows)
                if row["generator"]
                and not pd.isna(row["delta"])
                and (seconds := float(np.nansum([row[name] for name in known]))) >= 0
                and any(not pd.isna(row[name]) for name in known)
            ]
            if len(points) > 1:
                where = f"{segmenter} on {heading}"
                described = "; ".join(f"{each.label}: {signed(each.y)} for {duration(each.x)}" for each in points)
                axis = f"Δ in {title(str(rows['metric'].iloc[0]))}"
                drawing = gains_by_cost(points, f"Gain by additional time, {where}", described, axis)
                drawings.append({"title": where, "charts": [drawing]})
    return drawings
