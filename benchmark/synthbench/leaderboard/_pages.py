"""The report page: collects the values that the template shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from synthbench.io.escaping import printable
from synthbench.leaderboard import _charts as charts
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._columns import definition, title
from synthbench.leaderboard._curves import difference_lines, learning_lines, score_lines
from synthbench.leaderboard._formatting import MISSING, delta, duration, number, records, short
from synthbench.leaderboard._grids import Grid, grid, kind_of
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import design, details, headline
from synthbench.leaderboard._render import (
    boards,
    cost_columns,
    fidelity_tables,
    generators,
    shown,
)
from synthbench.leaderboard._run_columns import COSTS
from synthbench.leaderboard._run_files import environment, pictures, read_text
from synthbench.leaderboard._strata import by_group, groups_of
from synthbench.leaderboard._tables import table
from synthbench.leaderboard._verdicts import REAL, UNCHANGED, headline_metric
from synthbench.leaderboard.advice import advice
from synthbench.results import trained_and_tested
from synthbench.version import __version__

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["FAILED", "page"]

FAILED = ("failed", "timeout", "crashed")
_GROUP_DRAWS = 2_000
_MOST_STRATA = 12
_COST_WORDS = {
    "generator_seconds": "generator",
    "draw_seconds": "drawing",
    "pretraining_seconds": "pretraining",
    "fit_seconds": "segmenter",
    "predict_seconds": "predicting",
}


def page(
    results: Results,
    folder: Path,
    iou: float | str | None = None,
    aggregation: str = "pooled",
    columns: Sequence[str] = (),
    found: pd.DataFrame | None = None,
) -> str:
    """Return the page as one self-contained HTML file that makes no requests.

    Parameters
    ----------
    results
    folder
        The run folder; its pictures and its tracebacks are shown, where it has any.
    iou, aggregation, columns
        See `synthbench.leaderboard.table`.
    found
        What `synthbench.leaderboard.table` returns for these arguments, if it is there already.
    """
    iou = results.study.iou if iou is None else iou
    leaderboard = table(results, iou, aggregation, columns=columns) if found is None else found
    study_blocks = list(blocks(results))
    places = {
        arm: i for i, arm in enumerate(dict.fromkeys([REAL, *(arm for block in study_blocks for arm in block.arms)]))
    }
    used = [name for _, board in boards(leaderboard) for name in _all_columns(board)]
    metric = str(leaderboard["metric"].iloc[0])
    templates = Environment(
        loader=PackageLoader("synthbench.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    templates.filters["unbroken"] = _unbroken
    templates.globals.update(colour=charts.colour, percent=charts.percent)
    return templates.get_template("report.html").render(
        name=results.study.name,
        version=__version__,
        headline=headline(leaderboard),
        opening_notes=opening_notes(leaderboard),
        details=details(leaderboard),
        design=design(leaderboard, [block.images for block in study_blocks]),
        caveats=caveats(leaderboard),
        advice=advice(results, board=leaderboard),
        label_consistency="label_consistency" in used,
        aggregation=aggregation,
        boards=[grid(heading, board, shown(board)) for heading, board in boards(leaderboard)],
        notes=[(name, title(name, metric), definition(name)) for name in [*dict.fromkeys(used), "aggregation"]],
        forests=[forest for heading, board in boards(leaderboard) if (forest := _forest(heading, board))["rows"]],
        curves=[
            _curves(block, places, aggregation)
            for block in study_blocks
            if block.task != "semantic" and len(block.images)
        ],
        learning=list(_learning(study_blocks, places, iou, aggregation)),
        strata=_strata(results, study_blocks, iou, aggregation),
        pictures=pictures(folder),
        fidelity=[each for heading, board in boards(leaderboard) for each in _fidelity(heading, board)],
        costs=[_costs(heading, board) for heading, board in boards(leaderboard)],
        cost_words=_COST_WORDS,
        cost_tables=[grid(h, board, ["segmenter", "arm", *cost_columns(board)]) for h, board in boards(leaderboard)],
        failures=_failures(results),
        tracebacks=read_text(folder / "failures.txt"),
        study=results.study.to_yaml(),
        environment=environment(folder, leaderboard),
    )


def _shown(value: Any) -> Any:
    """Return what a template puts on the page: text of unknown origin turns no line around."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _unbroken(line: str) -> Markup:
    """Return a sentence in which no line ends within an option such as ``--budget``."""
    return Markup(re.sub(r"--[a-z][a-z-]*", r'<span class="option">\g<0></span>', str(escape(printable(line)))))


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


def _strata(
    results: Results, study_blocks: Sequence[ComparisonBlock], iou: float | str, aggregation: str
) -> list[Grid]:
    names = dict.fromkeys(name for block in study_blocks for name in groups_of(block))
    grids = []
    for name in names:
        values = {
            value for block in study_blocks if name in block.images for value in block.images[name].dropna().unique()
        }
        if 2 <= len(values) <= _MOST_STRATA:
            strata = by_group(results, name, iou, aggregation, draws=_GROUP_DRAWS)
            columns = ["value", "images", "segmenter", "arm", "score", "delta", "verdict", "completed"]
            grids += [grid(f"{heading}, by {name.removeprefix('group:')}", p, columns) for heading, p in boards(strata)]
    return grids


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
                "description": ", ".join(f"{_COST_WORDS[name]} {duration(value)}" for name, value in seconds.items()),
                "parts": [(name, f"{100 * value / most:.3f}%") for name, value in seconds.items()],
            }
            for row, seconds, total in rows
        ],
    }


def _failures(results: Results) -> list[dict[str, str]]:
    if "status" not in results.tasks:
        return []
    failed = results.tasks[results.tasks["status"].isin(FAILED)]
    return [{k: str(row.get(k, "")) for k in ("kind", "label", "status", "stage", "error")} for row in records(failed)]
