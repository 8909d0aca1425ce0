"""What the tests of the site are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthbench.board.model import BoardEntry, entry_file, read_board, write_board
from synthbench.store import file_digest

QUESTION = "Do brighter copies of <images> help to find discs?"


@dataclass(frozen=True)
class Made:
    """A folder of boards with one board, the bundle of its entry, and the dataset."""

    boards: Path
    bundle: Path
    data: Path


def relist(folder: Path, **changes: object) -> None:
    """Write the size and hash of the changed bundles of a board into it, as someone would who wants them shown."""
    board, _ = read_board(folder)
    entries = []
    for entry in board.entries:
        file = entry_file(folder, entry)
        about = entry.model_dump() | {"sha256": file_digest(file), "bytes": file.stat().st_size} | changes
        entries.append(BoardEntry.model_validate(about))
    write_board(board.model_copy(update={"entries": entries}), folder)
