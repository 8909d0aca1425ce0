"""The report page: collects the values that the template shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from synthbench import __version__
from synthbench.io.escaping import printable
from synthbench.leaderboard import _charts as charts
from synthbench.leaderboard._blocks import ComparisonBlock, blocks
from synthbench.leaderboard._columns import definition, title
from synthbench.leaderboard._curves import difference_lines, score_lines
from synthbench.leaderboard._formatting import MISSING, delta, duration, first_words, number, records, short, text
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import caveats, design, details, headline
from synthbench.leaderboard._render import (
    boards,
    cost_columns,
    fidelity_columns,
    generators,
    mask_columns,
    shown,
    similarity_columns,
)
from synthbench.leaderboard._run_columns import COSTS
from synthbench.leaderboard._strata import by_group, groups_of
from synthbench.leaderboard._tables import table
from synthbench.leaderboard._verdicts import REAL

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["FAILED", "INDEX", "PICTURES", "Grid", "TableCell", "page"]

PICTURES = "pictures"
INDEX = "index.json"
FAILED = ("failed", "timeout", "crashed")
_GROUP_DRAWS = 2_000
_MOST_STRATA = 12
_COST_WORDS = {
    "generator_seconds": "generator",
    "draw_seconds": "drawing",
    "fit_seconds": "segmenter",
    "predict_seconds": "predicting",
}


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


def page(
    results: Results,
    folder: Path,
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    columns: Sequence[str] = (),
) -> str:
    """Return the page as one self-contained HTML file that makes no requests.

    Parameters
    ----------
    results
    folder
        The run folder; its pictures and its tracebacks are shown, where it has any.
    iou, aggregation, columns
        See `synthbench.leaderboard.table`.
    """
    found = table(results, iou, aggregation, columns=columns)
    parts = list(blocks(results))
    places = {arm: i for i, arm in enumerate(dict.fromkeys([REAL, *(arm for block in parts for arm in block.arms)]))}
    used = [name for _, part in boards(found) for name in _all_columns(part)]
    metric = str(found["metric"].iloc[0])
    environment = Environment(
        loader=PackageLoader("synthbench.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    environment.globals.update(colour=charts.colour, percent=charts.percent)
    return environment.get_template("report.html").render(
        name=results.study.name,
        version=__version__,
        headline=headline(found),
        opening_notes=opening_notes(found),
        details=details(found),
        design=design(found, [block.images for block in parts]),
        caveats=caveats(found),
        label_consistency="label_consistency" in used,
        aggregation=aggregation,
        boards=[_grid(heading, part, shown(part)) for heading, part in boards(found)],
        notes=[(name, title(name, metric), definition(name)) for name in [*dict.fromkeys(used), "aggregation"]],
        forests=[_forest(heading, part) for heading, part in boards(found)],
        curves=[
            _curves(block, places, aggregation) for block in parts if block.task != "semantic" and len(block.images)
        ],
        strata=_strata(results, parts, iou, aggregation),
        pictures=_pictures(folder),
        fidelity=[grid for heading, part in boards(found) for grid in _fidelity(heading, part)],
        costs=[_costs(heading, part) for heading, part in boards(found)],
        cost_words=_COST_WORDS,
        cost_tables=[_grid(h, part, ["segmenter", "arm", *cost_columns(part)]) for h, part in boards(found)],
        failures=_failures(results),
        tracebacks=_read(folder / "failures.txt"),
        study=results.study.to_yaml(),
        environment=_environment(folder, found),
    )


def _shown(value: Any) -> Any:
    """Return what a template puts on the page: text of unknown origin turns no line around."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _all_columns(part: pd.DataFrame) -> list[str]:
    of_generators = (*fidelity_columns(part), *similarity_columns(part), *mask_columns(part))
    return [*shown(part), *of_generators, *cost_columns(part)]


def _grid(caption: str, part: pd.DataFrame, names: Sequence[str]) -> Grid:
    metric = str(part["metric"].iloc[0])
    rows = [(_kind(row), [_table_cell(row, name) for name in names]) for row in records(part)]
    return Grid(caption, [(name, title(name, metric)) for name in names], rows)


def _kind(row: dict[str, Any]) -> str:
    if row["status"] == MISSING:
        return MISSING
    return "real" if row["verdict"] == "baseline" else first_words(row["verdict"]).replace(" ", "-")


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


def _forest(heading: str, part: pd.DataFrame) -> dict[str, Any]:
    rows = [r for r in records(part) if r["verdict"] != "baseline"]
    axis = charts.span_of(rows)
    metric = title(str(part["metric"].iloc[0]))
    digits = max(2, len(f"{axis.step:.6f}".rstrip("0").partition(".")[2]))
    shown_rows = [
        {
            "segmenter": row["segmenter"],
            "arm": short(row["arm"]),
            "kind": _kind(row),
            "text": delta(row),
            "verdict": row["verdict"],
            "at": None if pd.isna(row["delta"]) else f"{axis(row['delta']):.3f}%",
            "ends": None
            if pd.isna(row["delta_low"])
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


def _strata(results: Results, parts: Sequence[ComparisonBlock], iou: float | str, aggregation: str) -> list[Grid]:
    names = dict.fromkeys(name for block in parts for name in groups_of(block))
    grids = []
    for name in names:
        values = {value for block in parts if name in block.images for value in block.images[name].dropna().unique()}
        if 2 <= len(values) <= _MOST_STRATA:
            strata = by_group(results, name, iou, aggregation, draws=_GROUP_DRAWS)
            columns = ["value", "images", "segmenter", "arm", "score", "delta", "verdict", "completed"]
            grids += [
                _grid(f"{heading}, by {name.removeprefix('group:')}", p, columns) for heading, p in boards(strata)
            ]
    return grids


def _fidelity(heading: str, part: pd.DataFrame) -> list[Grid]:
    made = generators(part)
    every = {"distances": fidelity_columns, "duplicates and similarity": similarity_columns, "masks": mask_columns}
    columns = {caption: choose(part) for caption, choose in every.items()}
    return [_grid(f"{heading}: {what}", made, ["generator", *names]) for what, names in columns.items() if names]


def _costs(heading: str, part: pd.DataFrame) -> dict[str, Any]:
    rows = []
    for row in records(part):
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


def _pictures(folder: Path) -> list[dict[str, Any]]:
    """Return the pictures of a run folder, embedded as data."""
    index = folder / PICTURES / INDEX
    if not _own(index, folder):
        return []
    try:
        return [
            {
                "title": str(row["title"]),
                "shots": [
                    _shot(folder, Path(str(item["file"])).name, str(item["caption"])) for item in row["pictures"]
                ],
            }
            for row in json.loads(index.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        caption = f"The list of pictures, {PICTURES}/{INDEX}, is damaged; run the study again to recreate it."
        return [{"title": "", "shots": [{"data": "", "caption": caption}]}]


def _shot(folder: Path, name: str, caption: str) -> dict[str, Any]:
    """Return a picture as data; where it can't be shown, a caption that says so."""
    file = folder / PICTURES / name
    try:
        if not _own(file, folder):
            raise FileNotFoundError
        with Image.open(file) as picture:
            picture.verify()
    except Exception:  # decoders raise anything on damaged files
        return {"data": "", "caption": f"{caption} (not shown: its file is missing or damaged)"}
    return {"data": Markup("data:image/png;base64,") + base64.b64encode(file.read_bytes()).decode(), "caption": caption}


def _environment(folder: Path, found: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what the study was run on; without ``environment.json``, what its tables say."""
    facts = {"Segmenters trained on": ", ".join(sorted({d for d in found["device"] if d})) or MISSING}
    try:
        known = json.loads(_read(folder / "environment.json") or "{}")
        machine, versions = known["hardware"], known["versions"]
        facts["Machine"] = f"{machine['system']}, {machine['processor']}, {machine['cores']} cores"
        facts["Versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        facts["Source"] = known["source_state"].get("commit", "installed")
    except (ValueError, KeyError, TypeError, AttributeError):
        facts["Machine"] = MISSING
    return list(facts.items())


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if _own(path, path.parent) else ""


def _own(path: Path, folder: Path) -> bool:
    """Whether this is a regular file of the folder: a link could put any file of the machine on the page."""
    return path.is_file() and path.resolve() == folder.resolve() / path.relative_to(folder)
