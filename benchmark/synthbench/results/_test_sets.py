"""Which dataset the test images are of: the one that was trained on, or another one."""

from __future__ import annotations

import pandas as pd

__all__ = ["trained_and_tested", "with_tested_on"]


def with_tested_on(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of trainings with the column ``tested_on``; a run without other test sets may lack it."""
    if "tested_on" in table or "dataset" not in table:
        return table
    out = table.copy()
    out.insert(list(table.columns).index("dataset") + 1, "tested_on", table["dataset"])
    return out


def trained_and_tested(dataset: str, tested_on: str) -> str:
    """Return ``"nuclei"``, or ``"nuclei (tested on tissue)"`` where test images are of another dataset."""
    return dataset if tested_on == dataset else f"{dataset} (tested on {tested_on})"
