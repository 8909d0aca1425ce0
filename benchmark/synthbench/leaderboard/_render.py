"""A leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthbench.io.escaping import csv_escaped
from synthbench.leaderboard._baseline_delta_text import is_baseline_delta, layout_notes, layout_tables
from synthbench.leaderboard._caveats import caveats
from synthbench.leaderboard._columns import definition, title
from synthbench.leaderboard._fidelity import COUNTED, IMAGES, MASKS
from synthbench.leaderboard._formatting import MISSING, NOT_APPLICABLE, is_score, records, short, text
from synthbench.leaderboard._headline import opening_notes
from synthbench.leaderboard._narrative import details, headline
from synthbench.leaderboard._overview import overview_lines
from synthbench.leaderboard._run_columns import COSTS, scoring_caption
from synthbench.leaderboard._verification import COLUMNS
from synthbench.results import SCRATCH

__all__ = [
    "as_json",
    "boards",
    "brief_markdown",
    "cost_columns",
    "csv",
    "fidelity_tables",
    "generators",
    "markdown",
    "overview_markdown",
    "shown",
]

_NOT_SHOWN = (
    "score_sd",
    "task",
    "dataset",
    "tested_on",
    "fraction",
    "generator",
    "synthetic",
    "folds",
    "metric",
    "aggregation",
)
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "*": "\\*", "`": "\\`", "](": "]\\("}
_NAMES = ("segmenter", "arm", "generator", "group", "value", "device", *COLUMNS)


def shown(table: pd.DataFrame) -> list[str]:
    """Return the columns that people read, in their order; the others are in CSV and JSON."""
    scores = [c for c in map(str, table.columns) if is_score(c) and c not in _NOT_SHOWN]
    main = [c for c in scores if c.startswith(("f1@", "miou", "score"))]
    rest = [c for c in scores if c not in main]
    group = [c for c in ("group", "value", "images") if c in table]
    gains = [
        c
        for c in ("delta_vs_duplicate", "recovered", "equivalent_real_images", "label_consistency")
        if c in table and table[c].notna().any()
    ]
    seen = ["weights_seen"] if "weights_seen" in table and (table["weights_seen"] != "").any() else []
    convergence = ["convergence"] if "convergence" in table else []
    decision = ["decision"] if "decision" in table and "value" not in table else []
    names = [
        *group,
        "segmenter",
        *seen,
        *convergence,
        "arm",
        *main,
        "delta",
        "verdict",
        *decision,
        "rank",
        *gains,
        "completed",
        *(name for name in COLUMNS if name in table),
        *rest,
    ]
    return [*names, *(c for c in table.attrs.get("columns", ()) if c not in names)]


def _distance_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of distances, kernel distances first; none where nothing was measured."""
    names = [
        c for c in map(str, table.columns) if _is_distance(c) and not c.endswith((" low", " high", " real-vs-real p"))
    ]
    kernel = [c for c in names if c.startswith("K")]
    counted = [c for c in ("kd_n",) if kernel and c in table and table[c].notna().any()]
    return [*kernel, *counted, *(c for c in names if c not in kernel), *(["fidelity_n"] if names else [])]


def _similarity_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of copies and of precision … coverage; none where nothing was measured."""
    names = (
        "train_duplicates",
        "train_duplicates_new",
        "train_duplicates_training",
        "test_duplicates",
        *(f"image_{name}" for name in IMAGES),
        "authenticity",
        "c_t",
    )
    return [c for c in names if c in table and table[c].notna().any()]


def _mask_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of how far masks are apart, and of what was lost in drawing them; none without either."""
    apart = [c for c in (f"mask_{name}" for name in MASKS) if c in table and table[c].notna().any()]
    return [*apart, *(c for c in COUNTED if c in table and table[c].fillna(0).any())]


def fidelity_tables(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of each table about synthetic samples, by its heading; tables without columns are left out."""
    columns = {
        "distances": _distance_columns(table),
        "duplicates and similarity": _similarity_columns(table),
        "masks": _mask_columns(table),
    }
    return {heading: names for heading, names in columns.items() if names}


def generators(part: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each generator: what is said of its samples doesn't depend on the segmenter."""
    return part[part["generator"] != ""].drop_duplicates("generator")


def _is_distance(name: str) -> bool:
    return name.startswith(("KID", "KD(", "FID", "FD("))


def cost_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of cost that hold anything."""
    names = (*COSTS, "peak_memory_mb", "gpu_memory_mb")
    return [*(c for c in names if c in table and table[c].notna().any()), "device"]


def boards(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the parts of a table that belong under one heading: one dataset, test set and amount of real data each.

    Segmenters that start from trained weights are kept apart from those that start from scratch.
    """
    start = table["init"] if "init" in table else pd.Series(SCRATCH, index=table.index)
    pretrained = (start != SCRATCH).rename("pretrained")
    keys = [table["dataset"], table["tested_on"], table["fraction"], pretrained]
    for (dataset, tested_on, fraction, is_pretrained), part in table.groupby(keys, sort=False):
        done = bool((part["status"] != MISSING).any())
        empty = [
            c for c in map(str, part.columns) if part[c].isna().all() and (_is_distance(c) or (is_score(c) and done))
        ]
        whole = part.drop(columns=empty)
        whole.attrs = dict(table.attrs)
        kind = " · pretrained segmenters" if is_pretrained else ""
        where = dataset if tested_on == dataset else f"trained on {dataset}, tested on {tested_on}"
        yield f"{where} · {fraction} real images{kind}{scoring_caption(part)}", whole


def markdown(table: pd.DataFrame) -> str:
    """Return the leaderboard as Markdown: the sentence, a table per dataset and amount of real data, and footnotes."""
    if is_baseline_delta(table):
        return _layout(table)
    parts = []
    if "status" in table and "generator" in table:
        detail_lines = (f"{what}: {'; '.join(parts)}." for what, parts in details(table))
        notes = [*opening_notes(table), *detail_lines, *caveats(table)]
        parts += [f"**{_plain(headline(table))}**", "\n".join(f"- {_plain(note)}" for note in notes)]
    used: list[str] = []
    for heading, part in boards(table):
        metric = str(part["metric"].iloc[0])
        grids = {"": (part, shown(part))}
        if "generator" in part:
            about_samples = fidelity_tables(part).items()
            grids |= {caption: (generators(part), ["generator", *names]) for caption, names in about_samples}
            grids["cost"] = (part, ["segmenter", "arm", *cost_columns(part)])
        used += [name for _, names in grids.values() for name in names]
        parts.append(f"### {_plain(heading)} ({part['aggregation'].iloc[0]})")
        for caption, (rows, names) in grids.items():
            parts += [f"#### {caption.capitalize()}" if caption else "", _grid(rows, names, metric)]
    metric = str(table["metric"].iloc[0])
    notes = [f"- {_plain(title(n, metric))}: {_plain(definition(n))}" for n in dict.fromkeys([*used, "aggregation"])]
    parts.append("\n".join(notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def brief_markdown(table: pd.DataFrame, answers: Sequence[str] = ()) -> str:
    """Return the main columns of a leaderboard as Markdown: a table per dataset and amount of real data with arms.

    Parameters
    ----------
    table
    answers
        What to do next; see `synthbench.leaderboard.Advice`.
    """
    notes = "\n".join(f"- {_plain(note)}" for note in (*opening_notes(table), *answers))
    parts, alone = [f"**{_plain(headline(table))}**", *([notes] if notes else [])], []
    for heading, part in boards(table):
        if (part["generator"] == "").all() and (table["generator"] != "").any():
            alone.append(part)
            continue
        metric = str(part["metric"].iloc[0])
        names = ["segmenter", "arm", metric, "delta", "verdict", "rank", "recovered", "completed", *COLUMNS]
        kept = [name for name in names if name in part and not part[name].isna().all()]
        parts += [f"### {_plain(heading)} ({part['aggregation'].iloc[0]})", _grid(part, kept, metric)]
    if alone:
        rows = pd.concat(alone).sort_values(["dataset", "tested_on", "segmenter", "fraction"], kind="stable")
        metric = str(rows["metric"].iloc[0])
        others = ["tested_on"] * bool((rows["tested_on"] != rows["dataset"]).any())
        names = ["dataset", *others, "segmenter", "fraction", metric, "completed", *COLUMNS]
        kept = [name for name in names if name in rows]
        parts += ["### Other amounts of real images, without synthetic ones", _grid(rows, kept, metric)]
    return "\n\n".join(parts) + "\n"


def overview_markdown(found: pd.DataFrame) -> str:
    """Return `synthbench.leaderboard.overview` as a Markdown table."""
    lines = [[_plain(cell) for cell in line] for line in overview_lines(found)]
    return _lines(lines, [True, False, True, *(False for _ in lines[0][3:])]) + "\n"


def _layout(table: pd.DataFrame) -> str:
    """Return `synthbench.leaderboard.baseline_delta` as Markdown: a table per segmenter and arm, and footnotes."""
    parts = []
    for each in layout_tables(table):
        left = [number < each.labels for number in range(len(each.heads))]
        lines = [[_plain(cell) for cell in line] for line in (each.heads, *each.rows)]
        parts += [f"### {_plain(each.heading)}", _lines(lines, left)]
    return "\n\n".join([*parts, "\n".join(f"- {_plain(note)}" for note in layout_notes(table))]) + "\n"


def csv(table: pd.DataFrame) -> str:
    """Return the leaderboard as CSV with all columns and full precision; no cell is blank, and none is a formula."""
    return csv_escaped(_filled(table)).to_csv(index=False, lineterminator="\n")


def as_json(table: pd.DataFrame) -> str:
    """Return the leaderboard as JSON.

    It holds what is said before and after the table, ``columns`` with their definitions, and ``rows``; null where there
    is no number.
    """
    rows = [{name: _json_value(value) for name, value in row.items()} for row in records(table)]
    columns = {str(name): definition(str(name)) for name in table.columns}
    whole = "status" in table and "generator" in table and not is_baseline_delta(table)
    said = (
        {"headline": headline(table), "opening_notes": opening_notes(table), "caveats": caveats(table)} if whole else {}
    )
    return json.dumps({**said, "columns": columns, "rows": rows}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    out = table.astype(object).copy()
    lost = table["status"] == MISSING
    for name in table.columns:
        blank = table[name].isna() | (table[name].astype(str) == "")
        filler = np.where(
            lost & (is_score(str(name)) or str(name).startswith(("delta", "rank"))), MISSING, NOT_APPLICABLE
        )
        out[name] = out[name].where(~blank, pd.Series(filler, index=table.index))
    return out


def _json_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _grid(part: pd.DataFrame, names: Sequence[str], metric: str) -> str:
    rows = records(part)
    lines = [[_plain(title(name, metric)) for name in names]]
    lines += [[_cell(row, name) for name in names] for row in rows]
    return _lines(lines, [isinstance(rows[0].get(name), str) and name != "completed" for name in names])


def _lines(lines: Sequence[Sequence[str]], left: Sequence[bool]) -> str:
    """Return a table of Markdown from its heading and rows, and which columns are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(cells, widths, left, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = (":" + "-" * (w - 1) if is_left else "-" * (w - 1) + ":" for w, is_left in zip(widths, left, strict=True))
    return "\n".join([line(lines[0]), f"| {' | '.join(rule)} |", *map(line, lines[1:])])


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = short(row["arm"]) if name == "arm" else text(row, name)
    return _plain(value) if name in _NAMES else value.replace("*", "\\*")


def _plain(value: str) -> str:
    """Return text that Markdown shows as it is: no tag, no column, no line of its own."""
    for sign, entity in _MARKUP.items():
        value = value.replace(sign, entity)
    return " ".join(value.split())
