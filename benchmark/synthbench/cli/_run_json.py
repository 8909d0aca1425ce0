"""A finished run as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from synthbench.runner import StudyRun

_FAILURE = ("key", "kind", "label", "status", "stage", "error")


def run_as_json(ran: StudyRun, page: Path, columns: Sequence[str]) -> dict[str, Any]:
    """Return where a run is, how its tasks and trainings ended, and its leaderboard.

    Parameters
    ----------
    ran
    page
        The report.
    columns
        Further columns of the leaderboard.
    """
    from synthbench import leaderboard
    from synthbench.results import FAILURES

    tasks = ran.results.tasks
    failed = tasks[tasks["status"].isin(FAILURES)]
    return {
        "name": ran.results.study.name,
        "folder": str(ran.folder),
        "store": str(ran.store.root),
        "report": str(page),
        "failed": ran.failed,
        "tasks": {str(status): int(count) for status, count in tasks["status"].value_counts().items()},
        "failures": _rows(failed[list(_FAILURE)]),
        "trainings": _rows(ran.results.runs),
        "leaderboard": json.loads(leaderboard.as_json(ran.table(columns))),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table; null where there is no number."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows
