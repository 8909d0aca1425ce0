"""New boards, and new entries of boards."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synthbench.board.entries import Entry, open_entry, verify_entry
from synthbench.board.frozen import freeze, title_of
from synthbench.board.joining import check_belongs
from synthbench.board.model import (
    MOST_BYTES,
    NAME,
    Board,
    BoardEntry,
    entry_file,
    read_board,
    split_file,
    write_board,
)
from synthbench.board.opening import board_splits, own_data
from synthbench.bundle.contents import Contents
from synthbench.bundle.layout import FORMAT as BUNDLES
from synthbench.bundle.reading import BundleFile
from synthbench.bundle.writing import write_bundle
from synthbench.datasets.split_files import write_splits
from synthbench.errors import ConfigError
from synthbench.io.atomic import atomic_write
from synthbench.store import Store, disk_errors, file_digest
from synthbench.study.model import named_after, read_study

__all__ = ["add_entry", "new_board"]

_HINT = "check the folder"


def _check_baseline(contents: Contents, source: Path) -> None:
    """Raise `ConfigError` unless the trainings on real images alone are there, with which later entries are paired."""
    rows = [row for row in contents.trainings if not row["generator"]]
    alone = {(row["dataset"], row["fold"], row["fraction"]) for row in rows}
    for choice in contents.study.datasets:
        title = title_of(choice)
        for fold in range(len(contents.splits[title])):
            for count in map(len, contents.real_images(title, fold).values()):
                if (title, fold, count) not in alone:
                    raise ConfigError(
                        f"{source}: lacks the trainings on {count} real images of {title} alone, which later entries "
                        "are compared with; run the study without --reuse-baseline"
                    )


def new_board(
    source: Path,
    folder: Path,
    store: Store | None = None,
    *,
    question: str = "",
    version: int = 1,
    data: Sequence[str] = (),
    address: str | None = None,
) -> tuple[Board, frozenset[str]]:
    """Freeze the study of a finished run into a board, with the run as its first entry.

    Parameters
    ----------
    source
        A bundle, or a run folder, of which one is made.
    folder
        Of the board, which must not exist, or be empty. The board is named after it.
    store
        Where the artifacts of a run folder are.
    question
        What the board answers, in a sentence.
    version
        Of the frozen study.
    data
        Datasets by name or path, to compute the scores again; by default those of the library, and those of the run.
    address
        Where the first entry lies, if it is too large for the folder.

    Returns
    -------
    board : Board
        With the run as its entry.
    verified : frozenset of str
        Titles of the datasets on whose test images the scores were computed again.

    Raises
    ------
    ConfigError, DataError
        If the run can't become a board: one line; nothing is written then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: already exists and isn't empty; give another --out")
    name = named_after(folder.resolve().name)
    with _as_bundle(source, store) as bundle:
        _check_size(bundle, source, address)
        entry = replace(open_entry(bundle), path=source)
        contents = entry.contents
        verified = _verified(entry, bundle, data)
        _check_baseline(contents, source)
        with BundleFile(bundle) as file:
            made_with = str(file.manifest["synthbench"])
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            disk_errors(folder, _HINT),
            tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as temporary,
        ):
            made = Path(temporary) / "board"
            for title, splits in contents.splits.items():
                write_splits(made / split_file(title), splits)
            board = Board(
                name=name,
                version=version,
                question=question,
                synthbench=made_with,
                bundles=BUNDLES,
                protocol=_protocol(entry),
                study=freeze(contents, name),
                splits={title: file_digest(made / split_file(title)) for title in contents.splits},
                entries=[_listed(bundle, source, verified, contents.splits, address)],
            )
            _keep(bundle, made, board.entries[0])
            write_board(board, made)
            os.replace(made, folder)
    return board, verified


def add_entry(
    folder: Path,
    source: Path,
    store: Store | None = None,
    *,
    name: str = "",
    data: Sequence[str] = (),
    address: str | None = None,
) -> tuple[Board, BoardEntry]:
    """Add a bundle to a board.

    Parameters
    ----------
    folder
        Of the board.
    source
        A bundle, or a run folder, of which one is made.
    store, data, address
        See `new_board`.
    name
        Of the entry; by default that of the file.

    Returns
    -------
    board : Board
        With the entry.
    entry : BoardEntry
        What it says of the bundle.

    Raises
    ------
    ConfigError, DataError
        If it doesn't belong to the board, or has problems: one line; nothing is changed then.
    """
    board, folder = read_board(folder)
    with _as_bundle(source, store) as bundle:
        _check_size(bundle, source, address)
        entry = replace(open_entry(bundle), path=source)
        check_belongs(entry, board.study, board_splits(board, folder), f"the board {board.name}")
        verified = _verified(entry, bundle, data)
        listed = _listed(bundle, source, verified, entry.contents.splits, address, name)
        for other in board.entries:
            if other.sha256 == listed.sha256:
                raise ConfigError(f"{source}: is on the board {board.name} already, as {other.name!r}")
            if other.name.casefold() == listed.name.casefold():
                raise ConfigError(f"{source}: the board {board.name} has an entry {other.name!r}; give another --name")
        board = board.model_copy(update={"entries": [*board.entries, listed]})
        _keep(bundle, folder, listed)
        write_board(board, folder)
    return board, listed


@contextlib.contextmanager
def _as_bundle(source: Path, store: Store | None) -> Iterator[Path]:
    """Yield the bundle itself, or one of a run folder, which is removed afterwards."""
    if not source.is_dir():
        yield source
        return
    if store is None:
        raise ConfigError(f"{source}: is a run folder; give a bundle of it: synthbench bundle {source}")
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / f"{source.resolve().name}.zip"
        write_bundle(source, store, bundle)
        yield bundle


def _check_size(bundle: Path, source: Path, address: str | None) -> None:
    size = bundle.stat().st_size
    if size > MOST_BYTES and address is None:
        raise ConfigError(
            f"{source}: its bundle has {size / 1e6:.1f} MB, and a board's folder takes entries up to "
            f"{MOST_BYTES / 1e6:.0f} MB; run fewer generators at a time, each run being an entry, or publish the "
            "bundle and give its address with --address https://…"
        )
    if address is not None and not address.startswith("https://"):
        raise ConfigError(f"--address {address}: expected an address that begins with https://")


def _verified(entry: Entry, bundle: Path, data: Sequence[str]) -> frozenset[str]:
    """Return the datasets on which all scores were computed again; raise `ConfigError` about the first problem."""
    source = entry.path
    places = _places(source) if source.is_dir() else {}
    findings, verified = verify_entry(bundle, own_data(entry.contents, data, places))
    if findings.problems:
        more = f", and {len(findings.problems) - 1} more problems" * (len(findings.problems) > 1)
        raise ConfigError(f"{source}: {findings.problems[0]}{more}; see 'synthbench verify {source}'")
    return verified


def _places(run: Path) -> Mapping[str, str]:
    """Return where the datasets of a run lay, by their titles."""
    study = read_study(run / "study.yaml")
    names = [str(each["name"]) for key in ("datasets", "test_on") for each in study.get(key, ())]
    return {Path(name).expanduser().resolve().name: name for name in names if Path(name).expanduser().exists()}


def _protocol(entry: Entry) -> int:
    return int(next(iter(entry.contents.plan.values()))["content"]["protocol"])


def _listed(
    bundle: Path,
    source: Path,
    verified: frozenset[str],
    datasets: Mapping[str, object],
    address: str | None,
    name: str = "",
) -> BoardEntry:
    name = name or named_after(source.resolve().name.removesuffix(".zip"))
    try:
        return BoardEntry(
            name=name,
            sha256=file_digest(bundle),
            bytes=bundle.stat().st_size,
            address=address,
            verification="verified" if verified == set(datasets) else "self-reported",
        )
    except ValueError:
        raise ConfigError(f"entry name {name!r}: use letters, digits, '.', '_' and '-' ({NAME})") from None


def _keep(bundle: Path, folder: Path, entry: BoardEntry) -> None:
    """Copy a bundle into a board; a large one too, where the board's folder isn't to be shared as it is."""
    path = entry_file(folder, entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.bytes <= MOST_BYTES:
        atomic_write(path, bundle.read_bytes(), _HINT)
    else:
        shutil.copyfile(bundle, path)
        ignored = path.parent / ".gitignore"
        lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
        atomic_write(ignored, "\n".join([*lines, path.name, ""]), _HINT)
