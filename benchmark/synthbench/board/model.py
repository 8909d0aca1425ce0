"""A board: a frozen study, its splits, and the bundles that were added to it, as a YAML file and as models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from synthbench.errors import ConfigError
from synthbench.io.atomic import atomic_write
from synthbench.io.escaping import printable
from synthbench.io.safe_yaml import read_yaml
from synthbench.plugin.config_errors import first_problem
from synthbench.store import file_digest
from synthbench.study.model import Study

__all__ = [
    "BOARD",
    "FORMAT",
    "MOST_BYTES",
    "NAME",
    "Board",
    "BoardEntry",
    "entry_file",
    "is_board",
    "read_board",
    "split_file",
    "write_board",
]

BOARD = "board.yaml"
FORMAT = 1
"""Version of the format of boards; one that a reader doesn't know is refused."""
MOST_BYTES = 5_000_000
"""Size of the largest entry that is kept in a board's folder; larger ones have an address."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
_SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoardEntry(_Part):
    """A bundle that was added to a board.

    Attributes
    ----------
    name
        Of the file in ``entries/``, without ``.zip``.
    sha256
    bytes
        Its size.
    address
        Where a bundle lies that is too large for the folder.
    verification
        ``verified``: its scores were computed again from its predictions when it was added; else ``self-reported``.
    """

    name: Annotated[str, Field(pattern=NAME)]
    sha256: _SHA256
    bytes: Annotated[int, Field(ge=1, strict=True)]
    address: Annotated[str, Field(pattern=r"^https://[^\s<>\"'`]+$")] | None = None
    verification: Literal["verified", "self-reported"] = "self-reported"


class Board(_Part):
    """What ``board.yaml`` says.

    Attributes
    ----------
    format
    name
    version
        Of the frozen part: another study is another version, in a folder of its own.
    question
        What the board answers, in a sentence.
    synthbench
        The version that the first entry was made with.
    bundles, protocol
        Versions of the format of bundles, and of the protocol that all keys name.
    study
        The frozen study, without generators. Each dataset has a fingerprint, and the file of its splits.
    splits
        SHA-256 of the file of the splits, by title of the dataset.
    entries
        The bundles, the oldest first: others are paired with its trainings on real images.
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    question: Annotated[str, Field(max_length=400)] = ""
    synthbench: str
    bundles: Annotated[int, Field(ge=1, strict=True)]
    protocol: Annotated[int, Field(ge=1, strict=True)]
    study: Study
    splits: dict[str, _SHA256]
    entries: list[BoardEntry] = []

    @field_validator("question")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if value != printable(value) or "\n" in value:
            raise ValueError("is one line without control characters")
        return value

    @model_validator(mode="after")
    def _parts_agree(self) -> Board:
        if self.study.generators:
            raise ValueError("study.generators: entries bring them; leave the key out")
        titles = {dataset.name for dataset in (*self.study.datasets, *self.study.test_on)}
        if wrong := [title for title in titles if Path(title).name != title or "\\" in title]:
            raise ValueError(f"study: dataset {wrong[0]!r} is a path; a board names datasets")
        if titles != set(self.splits):
            raise ValueError("splits: expected one SHA-256 for each dataset of the study")
        for dataset in (*self.study.datasets, *self.study.test_on):
            if dataset.fingerprint is None or dataset.split.file != split_file(dataset.name):
                raise ValueError(
                    f"study: dataset {dataset.name!r} needs a fingerprint, and split.file: {split_file(dataset.name)}"
                )
        names = [entry.name.casefold() for entry in self.entries]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"entries: {name!r} occurs twice")
        return self


def split_file(title: str) -> str:
    """Return the file with the splits of a dataset, in the folder of a board."""
    return f"splits/{title}.json"


def entry_file(folder: Path, entry: BoardEntry) -> Path:
    """Return where a board keeps an entry."""
    return folder / "entries" / f"{entry.name}.zip"


def is_board(path: str | Path) -> bool:
    """Whether a path is the folder of a board, or its ``board.yaml``."""
    path = Path(path)
    return (path.name == BOARD and path.is_file()) or (path / BOARD).is_file()


def read_board(path: str | Path) -> tuple[Board, Path]:
    """Read a board, and check that its splits are those that it was frozen with.

    Parameters
    ----------
    path
        Its folder, or its ``board.yaml``.

    Returns
    -------
    board : Board
        What the file says.
    folder : Path
        Where it lies.

    Raises
    ------
    ConfigError
        If it is no board, is of a later format, or was changed: one line.
    """
    path = Path(path)
    file = path if path.name == BOARD else path / BOARD
    if not file.is_file():
        raise ConfigError(
            f"{path}: no board (it has no {BOARD}); make one with 'synthbench board new RUN --out {path}'"
        )
    content = read_yaml(file)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file}: a board is a mapping (format: 1, name: …), not {type(content).__name__}")
    version = content.get("format")
    if type(version) is int and version > FORMAT:
        needed = printable(str(content.get("synthbench", "")))[:40]
        raise ConfigError(
            f"{file}: has format {version}, and this version reads {FORMAT}; install synthbench {needed or ''} or later"
        )
    try:
        board = Board.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {first_problem(error, Board)}") from None
    for title, digest in board.splits.items():
        _check_splits(file.parent / split_file(title), digest)
    return board, file.parent


def _check_splits(path: Path, digest: str) -> None:
    again = "restore it: a board's splits don't change, other splits are another board"
    try:
        found = file_digest(path)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror or error}); {again}") from None
    if found != digest:
        raise ConfigError(f"{path}: has the SHA-256 {found[:12]}…, expected {digest[:12]}…; {again}")


def write_board(board: Board, folder: Path) -> Path:
    """Write ``board.yaml``, atomically."""
    content: dict[str, Any] = board.model_dump(mode="json", exclude_none=True)
    content["study"].pop("generators", None)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return atomic_write(folder / BOARD, text, "check the folder")
