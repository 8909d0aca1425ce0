"""Tables of plain text: aligned by rich, without colour, and never truncated."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

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
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=True)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if wrapped is not None:
        fixed = sum(length + GAP for i, length in enumerate(widths) if i != wrapped)
        widths[wrapped] = max(min_wrapped, min(widths[wrapped], width - fixed))
    for i, title in enumerate(header):
        table.add_column(
            Text(title),
            justify="left" if i in left or i == wrapped else "right",
            no_wrap=i != wrapped,
            overflow="fold",
            width=widths[i],
        )
    for row in rows:
        table.add_row(*map(Text, row))
    output = io.StringIO()
    Console(file=output, width=sum(widths) + GAP * len(widths), color_system=None).print(table)
    return [line.rstrip() for line in output.getvalue().splitlines()]
