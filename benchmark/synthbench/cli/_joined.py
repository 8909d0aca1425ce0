"""Several results as one leaderboard: what the command line takes as runs, bundles and boards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from synthbench.board.joining import Group

__all__ = ["apart_lines", "groups_of", "joined_terminal", "joined_text"]


def groups_of(paths: Sequence[str], data: Sequence[str]) -> list[Group] | None:
    """Return what the results are joined to; None for a single run folder, which has nothing to be joined with.

    Raises
    ------
    SynthbenchError
        If one can't be read, doesn't belong to the others, or has problems.
    """
    from synthbench.board.entries import Entry, open_entry, verified_datasets
    from synthbench.board.joining import join_results
    from synthbench.board.model import is_board
    from synthbench.board.opening import open_board
    from synthbench.errors import ConfigError

    boards = [path for path in paths if is_board(Path(path).expanduser())]
    if len(paths) == 1 and not boards and Path(paths[0]).expanduser().is_dir():
        return None
    others = [Path(path).expanduser() for path in paths if path not in boards]
    entries: list[Entry] = [open_entry(path, verified=verified_datasets(path, data)) for path in others]
    if not boards:
        return join_results(entries)
    if len(boards) > 1:
        raise ConfigError(f"{boards[1]}: is a board, and so is {boards[0]}; show one at a time")
    return open_board(boards[0], also=entries).groups


def apart_lines(groups: list[Group]) -> list[str]:
    """Return what is said of results that aren't shown, because they can't be paired with the others."""
    return [f"not shown: {', '.join(group.entries)}, apart: {'; '.join(group.reasons)}" for group in groups[1:]]


def joined_text(groups: list[Group], form: str, iou: float | str | None, aggregation: str, columns: list[str]) -> str:
    """Return joined results as ``md``, ``csv`` or ``json``."""
    from synthbench import leaderboard
    from synthbench.board.rendering import as_csv, as_json, as_markdown

    tables = [leaderboard.table(group.results, iou, aggregation, columns=columns) for group in groups]
    if form == "json":
        return as_json(groups, tables, {})
    return as_csv(groups, tables) if form == "csv" else as_markdown(groups, tables)


def joined_terminal(
    groups: list[Group], iou: float | str | None, columns: list[str], aggregation: str
) -> RenderableType:
    """Return what rich prints of joined results."""
    from rich.console import Group as Lines
    from rich.text import Text

    from synthbench import leaderboard
    from synthbench.board.rendering import notes_of

    parts: list[RenderableType] = []
    for group in groups:
        if group.reasons:
            parts += [Text(), Text(f"Apart: {', '.join(group.entries)}", style="bold")]
            parts.append(Text(f"can't be paired with the others: {'; '.join(group.reasons)}", style="yellow"))
        parts.append(leaderboard.terminal(group.results, iou, columns, aggregation))
        parts += [Text(f"! {note}", style="yellow") for note in notes_of(group)]
    return Lines(*parts)
