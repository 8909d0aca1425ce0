"""Text of unknown origin made safe to display: in terminals, on pages, and in spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_escaped", "csv_unescaped", "printable", "printable_cells"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_KEPT = "\n\t"
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_DIRECTION_MARKS = "\u200e\u200f\u061c"


def printable(text: str) -> str:
    r"""Return text with control characters and changes of writing direction escaped, such as ``\x1b``.

    Line breaks, tabs and the letters of all scripts stay.

    Examples
    --------
    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in _KEPT or not _is_control(char) else _escaped(char) for char in text)


def _is_control(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in _DIRECTIONS
        or char in _DIRECTION_MARKS
    )


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are `printable`."""
    return _map_texts(table, printable)


def csv_escaped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for CSV: texts that a spreadsheet would take for formulas get an apostrophe in front.

    Numbers stay. `csv_unescaped` gives back what was.
    """
    return _map_texts(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)


def csv_unescaped(table: pd.DataFrame) -> pd.DataFrame:
    """Return what `csv_escaped` was given, from a table of texts that was read."""
    return _map_texts(table, lambda text: text[1:] if text.startswith("'") and _FORMULA.match(text) else text)


def _map_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    import numpy as np

    escaped = table.copy(deep=False)
    for place, kind in enumerate(table.dtypes):
        if kind.kind == "O":
            column = table.iloc[:, place]
            changed = {value: change(value) for value in {v for v in column if isinstance(v, str)}}
            if any(before != after for before, after in changed.items()):
                values = [changed[v] if isinstance(v, str) else v for v in column]
                escaped.isetitem(place, np.array(values, object))
    return escaped
