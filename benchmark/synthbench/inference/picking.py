"""Narrowing the trainings of a run down to one: by what the user names, and by rules that need no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.errors import ConfigError, join_names, suggest

__all__ = ["ASK", "LEAST", "MOST", "distinct", "pick"]

ASK, LEAST, MOST = "ask", "least", "most"
"""What happens where several values are left: the user must name one, the least is taken, or the largest."""
Row = Mapping[str, Any]


def pick(
    rows: Sequence[Row], chosen: Mapping[str, Any], rules: Mapping[str, str], where: str
) -> tuple[list[Row], list[str]]:
    """Return the rows that are left, and what was taken without being named.

    Parameters
    ----------
    rows
        At least one.
    chosen
        Column → the value that the user named; None where no value was named. The option of the command has the name of
        the column.
    rules
        Column → `ASK`, `LEAST` or `MOST`, in the order in which they are applied. A column that isn't here stays open.
    where
        The run, for messages.

    Returns
    -------
    rows : list
        At least one.
    notes : list of str
        ``"took fold 0 (there are 0, 1)"``: what was taken, where there were several.

    Raises
    ------
    ConfigError
        If a value isn't there, or the user must name one.
    """
    left = list(rows)
    for column, value in chosen.items():
        if value is None:
            continue
        known = distinct(left, column)
        left = [row for row in left if str(row[column]) == str(value)]
        if not left:
            hint = suggest(str(value), map(str, known)) or f"; there are: {join_names(known)}"
            raise ConfigError(f"--{_option(column)} {value}: {where} has none{hint}")
    notes = []
    for column, rule in rules.items():
        known = distinct(left, column)
        if len(known) < 2:
            continue
        if rule == ASK:
            raise ConfigError(
                f"{where}: has several values of {_option(column)}: {join_names(known)}; name one with "
                f"--{_option(column)}"
            )
        taken = min(known) if rule == LEAST else max(known)
        left = [row for row in left if row[column] == taken]
        notes.append(f"took {_option(column)} {taken} (there are {join_names(known)})")
    return left, notes


def distinct(rows: Sequence[Row], column: str) -> list[Any]:
    """Return the values of a column, each once, in the order of the rows."""
    return list(dict.fromkeys(row[column] for row in rows))


def _option(column: str) -> str:
    return column.replace("_", "-")
