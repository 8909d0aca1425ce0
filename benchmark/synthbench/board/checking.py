"""Are the entries of a board what they say, do they belong to it, and is what it shows up to date?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synthbench.board.entries import open_entry, verify_entry
from synthbench.board.joining import check_belongs
from synthbench.board.model import Board, BoardEntry, entry_file, read_board
from synthbench.board.opening import board_splits, check_file, fetch_entries, how_to_get, open_board, own_data
from synthbench.board.rendering import is_current, rendered
from synthbench.bundle.findings import Findings
from synthbench.datasets.splits import Split
from synthbench.errors import ConfigError, SynthbenchError, suggest

__all__ = ["check_board"]


def check_board(
    path: Path,
    names: Sequence[str] = (),
    data: Sequence[str] = (),
    *,
    without_data: bool = False,
    download: bool = False,
) -> Findings:
    """Check a board and its entries.

    Parameters
    ----------
    path
        The folder of the board.
    names
        Of the entries to verify; by default all.
    data
        The board's datasets by name or path, to compute scores again; by default those of the library.
    without_data
        Whether scores may stay as they were when the entry was added. Otherwise a dataset that isn't at hand is a
        problem.
    download
        Whether to download entries that have an address.

    Returns
    -------
    Findings
        A problem is one line; its `file` is the entry's.

    Raises
    ------
    ConfigError
        If it is no board, or an entry isn't known.
    """
    board, folder = read_board(path)
    known = {entry.name: entry for entry in board.entries}
    for name in names:
        if name not in known:
            raise ConfigError(f"{folder}: has no entry {name!r}{suggest(name, known)}")
    if download:
        fetch_entries(board, folder)
    findings = Findings()
    splits = board_splits(board, folder)
    for name in names or known:
        _check_entry(board, folder, known[name], splits, data, without_data, findings)
    _check_files(folder, known, findings)
    if not findings.problems and known:
        _check_rendered(folder, findings)
    return findings


def _check_entry(
    board: Board,
    folder: Path,
    listed: BoardEntry,
    splits: Mapping[str, tuple[Split, ...]],
    data: Sequence[str],
    without_data: bool,
    findings: Findings,
) -> None:
    path = entry_file(folder, listed)
    label = f"entries/{listed.name}.zip"
    try:
        check_file(folder, listed)
        entry = open_entry(path, listed.name)
        check_belongs(entry, board.study, splits, f"the board {board.name}")
        given = [] if without_data else own_data(entry.contents, data)
        found, verified = verify_entry(path, given)
    except SynthbenchError as error:
        findings.add(label, str(error).removeprefix(f"{path}: "))
        return
    for problem in found.problems:
        findings.add(label, str(problem))
    missing = [title for title in board.splits if title not in verified]
    if found.problems or not missing:
        if not found.problems:
            findings.verified.append(f"{label}: all scores, computed again on {', '.join(board.splits)}")
        return
    if without_data:
        findings.verified.append(f"{label}: everything but the scores")
        findings.not_verified.append(f"{label}: scores on {', '.join(missing)}, which need the data")
    else:
        _add_missing(label, missing, folder, findings)


def _add_missing(label: str, missing: Sequence[str], folder: Path, findings: Findings) -> None:
    findings.add(
        label,
        f"the dataset {missing[0]!r} isn't at hand, so scores can't be verified; "
        f"{how_to_get(missing[0], '--data', folder)}; --without-data checks everything else",
    )


def _check_files(folder: Path, known: Mapping[str, BoardEntry], findings: Findings) -> None:
    """Every bundle of the folder is listed."""
    for path in sorted((folder / "entries").glob("*.zip")):
        if path.stem not in known:
            findings.add(
                f"entries/{path.name}",
                f"isn't listed in board.yaml; add it with 'synthbench board add {folder} FILE', which copies it there",
            )


def _check_rendered(folder: Path, findings: Findings) -> None:
    try:
        opened = open_board(folder)
    except SynthbenchError as error:
        findings.add("board.yaml", str(error))
        return
    for group in opened.groups:
        findings.not_verified.extend(group.repeats.differing)
    again = f"run 'synthbench board render {folder}'"
    before = len(findings.problems)
    for name, expected in rendered(opened).items():
        try:
            written = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            findings.add(name, f"is missing or can't be read; {again}")
            continue
        if not is_current(name, written, expected):
            findings.add(name, f"doesn't show what the entries give; {again}")
    if len(findings.problems) == before:
        findings.verified.append("the tables and pages show what the entries give")
