"""Tables of plain text: aligned by rich, without colour, and never truncated."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence

GAP = 2
"""Spaces between columns."""


def table_lines(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (),
    wrapped: int | None = None,
    width: int = 120,
    min_wrapped: int = 24,
    limits: Mapping[int, int] | None = None,
) -> list[str]:
    """Return a table as lines of text, the header first.

    Parameters
    ----------
    header, rows
        Texts of the cells; all rows have as many as the header.
    left
        Positions of the columns that are aligned left; the others are aligned right.
    wrapped
        Position of a column that is wrapped so that lines fit into `width`; the others keep their longest cell.
    width
        Characters of a line, at most, where a column is wrapped.
    min_wrapped
        Characters of the wrapped column, at least; lines are longer than `width` where it would be narrower.
    limits
        Position of further columns that are wrapped → their characters, at most.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=True)
    widths = [max(_longest_line(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    limits = limits or {}
    widths = [min(length, limits.get(i, length)) for i, length in enumerate(widths)]
    if wrapped is not None:
        fixed = sum(length + GAP for i, length in enumerate(widths) if i != wrapped)
        widths[wrapped] = max(min_wrapped, min(widths[wrapped], width - fixed))
    for i, title in enumerate(header):
        table.add_column(
            Text(title),
            justify="left" if i in left or i == wrapped else "right",
            no_wrap=i != wrapped and i not in limits,
            overflow="fold",
            width=widths[i],
        )
    for row in rows:
        table.add_row(*map(Text, row))
    output = io.StringIO()
    Console(file=output, width=sum(widths) + GAP * len(widths), color_system=None).print(table)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def _longest_line(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)
