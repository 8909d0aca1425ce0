"""The report page of a run: what `synthbench.leaderboard.parts` gives, its pictures, its groups and its failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from synthbench.leaderboard._blocks import ComparisonBlock
from synthbench.leaderboard._formatting import records
from synthbench.leaderboard._grids import Grid, grid
from synthbench.leaderboard._render import boards
from synthbench.leaderboard._run_files import environment, pictures, read_text
from synthbench.leaderboard._strata import by_group, groups_of
from synthbench.leaderboard.page_templates import page_environment
from synthbench.leaderboard.parts import COST_WORDS, page_parts
from synthbench.version import __version__

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["FAILED", "page"]

FAILED = ("failed", "timeout", "crashed")
_GROUP_DRAWS = 2_000
_MOST_STRATA = 12


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
    parts = page_parts(results, iou, aggregation, columns, found)
    return (
        page_environment()
        .get_template("report.html")
        .render(
            **vars(parts),
            name=results.study.name,
            version=__version__,
            cost_words=COST_WORDS,
            strata=_strata(results, parts.blocks, results.study.iou if iou is None else iou, aggregation),
            pictures=pictures(folder),
            failures=_failures(results),
            tracebacks=read_text(folder / "failures.txt"),
            study=results.study.to_yaml(),
            environment=environment(folder, parts.table),
        )
    )


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


def _failures(results: Results) -> list[dict[str, str]]:
    if "status" not in results.tasks:
        return []
    failed = results.tasks[results.tasks["status"].isin(FAILED)]
    return [{k: str(row.get(k, "")) for k in ("kind", "label", "status", "stage", "error")} for row in records(failed)]
