"""What every function of this package asks of the frames it is given."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from synthbench.errors import ConfigError, DataError, suggest

__all__ = ["check_baseline", "check_columns"]


def check_columns(rows: pd.DataFrame, needed: Iterable[str]) -> None:
    """Raise a `DataError` that names the first missing column."""
    missing = [name for name in needed if name not in rows]
    if missing:
        raise DataError(f"results: no column {missing[0]!r}; run the study again")


def check_baseline(arms: Iterable[str], baseline: str) -> None:
    """Raise a `ConfigError`, with a suggestion, unless the baseline is among the arms."""
    names = sorted(set(arms))
    if baseline not in names:
        raise ConfigError(f"baseline {baseline!r} is not among the arms{suggest(str(baseline), names)}")
