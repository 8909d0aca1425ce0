"""Which entries of a board a row comes from, and how far its scores were verified."""

from __future__ import annotations

import pandas as pd

__all__ = ["COLUMNS", "verification_columns"]

COLUMNS = ("verification", "entry")
_LEVELS = ("self-reported", "verified", "re-run")
"""The weakest first."""


def verification_columns(runs: pd.DataFrame) -> dict[str, str]:
    """Return `COLUMNS` of an arm, the weakest of its trainings; nothing where the results are of a single run."""
    if not set(COLUMNS) <= set(runs):
        return {}
    entries = dict.fromkeys(name for text in runs["entry"] for name in str(text).split(", "))
    return {"verification": min(runs["verification"], key=_LEVELS.index), "entry": ", ".join(entries)}
