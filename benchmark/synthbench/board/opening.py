"""A board with all of its entries open: their hashes checked, large ones downloaded, and joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthbench.board.entries import Entry, open_entry
from synthbench.board.joining import Group, check_belongs, join
from synthbench.board.model import Board, BoardEntry, entry_file, read_board, split_file
from synthbench.bundle.contents import Contents
from synthbench.datasets.download import Remote, fetch
from synthbench.datasets.library import Library
from synthbench.datasets.split_files import read_splits
from synthbench.datasets.splits import Split
from synthbench.environments.plugins import has_plugin
from synthbench.errors import ConfigError
from synthbench.plugin.api import Context
from synthbench.samples import SampleSet
from synthbench.store import file_digest

__all__ = [
    "OpenBoard",
    "baseline_keys",
    "board_splits",
    "check_file",
    "described_data",
    "fetch_entries",
    "how_to_get",
    "open_board",
    "own_data",
]


@dataclass(frozen=True, eq=False)
class OpenBoard:
    """A board and its results.

    Attributes
    ----------
    board : Board
    folder : Path
    groups : list of Group
        The first one holds what is paired with the oldest entry; the others stand apart.
    """

    board: Board
    folder: Path
    groups: list[Group]


def open_board(path: str | Path, also: Sequence[Entry] = ()) -> OpenBoard:
    """Read a board, and join its entries.

    Parameters
    ----------
    path
        Its folder, or its ``board.yaml``.
    also
        Results that aren't on the board, but belong to it.

    Raises
    ------
    ConfigError, DataError
        If it is no board, an entry is missing, was changed, or can't be read, or a result doesn't belong to it: one
        line.
    """
    board, folder = read_board(path)
    if not board.entries:
        raise ConfigError(f"{folder}: has no entries; add one with 'synthbench board add {folder} BUNDLE'")
    entries = []
    for listed in board.entries:
        check_file(folder, listed)
        entries.append(_open(board, folder, listed))
    for entry in also:
        check_belongs(entry, board.study, board_splits(board, folder), f"the board {board.name}")
    return OpenBoard(board, folder, join([*entries, *also], board.study))


def baseline_keys(path: str | Path) -> frozenset[str]:
    """Return the keys of the evaluations of the trainings on real images alone that a board's entries have.

    Raises
    ------
    ConfigError, DataError
        As `open_board` does.
    """
    board, folder = read_board(path)
    found: set[str] = set()
    for listed in board.entries:
        check_file(folder, listed)
        trainings = _open(board, folder, listed).contents.trainings
        found |= {str(row["evaluate"]) for row in trainings if not row["generator"]}
    return frozenset(found)


def described_data(path: str | Path) -> Mapping[str, SampleSet]:
    """Return the datasets of a board by their titles, as its first entry describes them: without pixels.

    Raises
    ------
    ConfigError, DataError
        As `open_board` does.
    """
    board, folder = read_board(path)
    if not board.entries:
        raise ConfigError(f"{folder}: has no entries; add one with 'synthbench board add {folder} BUNDLE'")
    check_file(folder, board.entries[0])
    return _open(board, folder, board.entries[0]).contents.datasets


def _open(board: Board, folder: Path, listed: BoardEntry) -> Entry:
    verified = frozenset(board.splits) if listed.verification == "verified" else frozenset[str]()
    return open_entry(entry_file(folder, listed), listed.name, verified)


def board_splits(board: Board, folder: Path) -> dict[str, tuple[Split, ...]]:
    """Return the splits of a board by title of the dataset."""
    return {title: read_splits(folder / split_file(title)) for title in board.splits}


def check_file(folder: Path, entry: BoardEntry) -> None:
    """Raise `ConfigError` unless the file of an entry is there, with the size and the hash that the board names."""
    path = entry_file(folder, entry)
    if not path.is_file():
        hint = (
            f"it lies at {entry.address}; get it with 'synthbench board check {folder} --download'"
            if entry.address
            else "restore it, or take it out of board.yaml"
        )
        raise ConfigError(f"{path}: is missing; {hint}")
    for what, found, expected in (
        ("size", path.stat().st_size, entry.bytes),
        ("SHA-256", file_digest(path), entry.sha256),
    ):
        if found != expected:
            raise ConfigError(
                f"{path}: its {what} is {str(found)[:12]}, expected {str(expected)[:12]} as in board.yaml; restore the "
                "file that was added"
            )


def fetch_entries(board: Board, folder: Path) -> None:
    """Download the entries that have an address and aren't there; their hashes are checked.

    Raises
    ------
    DataError
        If one can't be downloaded, or has another hash.
    """
    for entry in board.entries:
        path = entry_file(folder, entry)
        if entry.address and not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch(Remote(entry.address, entry.sha256, path.name), path.parent, Context(folder=path.parent))


def own_data(contents: Contents, given: Sequence[str], places: Mapping[str, str] | None = None) -> list[str]:
    """Return the datasets to compute scores with: those given, else those of the library, or at known places.

    Parameters
    ----------
    contents
        The result whose datasets are looked for.
    given
        Names or paths; where there are any, nothing else is looked for.
    places
        Where a dataset may lie, by its title.
    """
    if given:
        return list(given)
    known = set(Library().names())
    found = [title if title in known else (places or {}).get(title) for title in contents.datasets]
    return [each for each in found if each is not None]


def how_to_get(title: str, option: str, folder: Path) -> str:
    """Return what someone can do who doesn't have a dataset of a board.

    Parameters
    ----------
    title
        Of the dataset.
    option
        Of the command, which takes its folder.
    folder
        Of the board.
    """
    get = f"get it with 'synthbench dataset add {title}', " if has_plugin("dataset", title) else ""
    named = f"name images that you have: synthbench board data {folder} PATH"
    return f"{get}give its folder: {option} PATH/{title}, or {named}"
