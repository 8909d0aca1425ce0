"""What a change adds to boards, such as a pull request: new entries verified, and the tables before and after."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from synthbench.board.checking import check_board
from synthbench.board.model import BOARD, Board, read_board
from synthbench.board.rendering import JSON
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.io.escaping import printable
from synthbench.plugin.registry import registry

__all__ = ["Change", "board_folders", "catalogue_datasets", "check_change", "markdown"]

_FROZEN = ("name", "version", "study", "splits", "protocol")
_SIGNS = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", "*": "\\*", "`": "\\`", "[": "\\["})
_HEADS = ("dataset", "real images", "segmenter", "arm", "Δ before", "Δ after", "rank before", "rank after", "scores")


@dataclass
class Change:
    """What was found about one board.

    Attributes
    ----------
    board : str
        Name of its folder.
    added : list of str
        Names of the entries that are new, or whose files are.
    problems, notes : list of str
        A line each.
    table : str
        The rows before and after as Markdown; empty where nothing changed.
    """

    board: str
    added: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: str = ""


def board_folders(root: Path) -> list[Path]:
    """Return the folders of the boards below a folder, sorted."""
    return sorted(path.parent for path in root.rglob(BOARD))


def catalogue_datasets(root: Path) -> list[str]:
    """Return the datasets of all boards that a plugin can create or download."""
    known = set(registry().names("dataset"))
    titles = [title for folder in board_folders(root) for title in read_board(folder)[0].splits]
    return sorted(set(titles) & known)


def check_change(
    folder: Path,
    base: str = "",
    data: Sequence[str] = (),
    *,
    without_data: bool = False,
    download: bool = False,
) -> Change:
    """Check what is new in a board since a commit; without a commit, all of it.

    Parameters
    ----------
    folder
        Of the board, in a git repository where `base` is given.
    base
        A commit.
    data, without_data, download
        See `synthbench.board.checking.check_board`.

    Returns
    -------
    Change
        Problems are those of new entries and of the tables; a change of the frozen part is one too.
    """
    change = Change(folder.name)
    try:
        board, folder = read_board(folder)
    except SynthbenchError as error:
        change.problems.append(str(error))
        return change
    before = _before(folder, base, BOARD, yaml.safe_load)
    known = {str(row["name"]): row for row in before.get("entries", ())} if before else {}
    change.added = [
        entry.name
        for entry in board.entries
        if known.get(entry.name) != entry.model_dump(mode="json", exclude_none=True)
    ]
    change.problems += list(_frozen_changes(board, before))
    for name in known.keys() - {entry.name for entry in board.entries}:
        change.notes.append(f"{folder.name}: the entry {name!r} was removed")
    if known and not change.added and not change.notes:
        change.notes.append(f"{folder.name}: no new entries")
    names = change.added or [entry.name for entry in board.entries][:1]
    try:
        findings = check_board(folder, names, data, without_data=without_data or not change.added, download=download)
        change.problems += [f"{folder.name}/{problem}" for problem in findings.problems]
        change.notes += [f"not verified: {sentence}" for sentence in findings.not_verified if change.added]
    except SynthbenchError as error:
        change.problems.append(str(error))
    change.table = _table(_before(folder, base, JSON, json.loads), _now(folder / JSON))
    return change


def markdown(change: Change) -> str:
    """Return what was found about a board: problems, and the rows before and after."""
    state = f"{len(change.problems)} problem(s)" if change.problems else "no problems"
    problems = "".join(f"- {_plain(problem)}\n" for problem in change.problems)
    return f"## {_plain(change.board)}: {state}\n\n{problems}\n{change.table or 'No row changes.'}\n"


def _frozen_changes(board: Board, before: Mapping[str, Any]) -> Iterator[str]:
    if not before:
        return
    now = board.model_dump(mode="json", exclude_none=True)
    now["study"].pop("generators", None)
    for key in _FROZEN:
        if now.get(key) != before.get(key):
            yield f"{board.name}: {key} was changed, and a board is frozen; make another version in a folder of its own"


def _before(folder: Path, base: str, name: str, parse: Any) -> dict[str, Any]:
    """Return a file of a board as it was at a commit; empty where there was none."""
    if not base:
        return {}
    git = ["git", "-C", str(folder)]
    known = subprocess.run(
        [*git, "rev-parse", "-q", "--verify", f"{base}^{{commit}}"], capture_output=True, check=False
    )
    if known.returncode:
        raise ConfigError(f"--base {base}: is no commit of the repository of {folder}")
    shown = subprocess.run([*git, "show", f"{base}:./{name}"], capture_output=True, check=False)
    if shown.returncode:
        return {}
    found = parse(shown.stdout.decode("utf-8"))
    return found if isinstance(found, dict) else {}


def _now(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(content: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    names = ("dataset", "tested_on", "fraction", "segmenter", "arm")
    return {
        ("; ".join(group["apart"]), *(row[name] for name in names)): row
        for group in content.get("groups", ())
        for row in group["rows"]
    }


def _table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the rows that were added, removed or changed."""
    old, new = _rows(before), _rows(after)
    lines = []
    for key in dict.fromkeys([*new, *old]):
        first, second = old.get(key), new.get(key)
        row = second or first or {}
        values = [_delta(first), _delta(second), _rank(first), _rank(second)]
        if values[0] == values[1] and values[2] == values[3]:
            continue
        arm = f"{row['arm']} (apart)" if key[0] else str(row["arm"])
        cells = [str(row["dataset"]), f"{row['fraction']:.0f}", str(row["segmenter"]), arm, *values]
        lines.append([*cells, str(row.get("verification", ""))])
    if not lines:
        return ""
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in [list(_HEADS), ["---"] * len(_HEADS), *lines])


def _delta(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    value, low, high = (row.get(key) for key in ("delta", "delta_low", "delta_high"))
    if value is None or math.isnan(value):
        return str(row["verdict"])
    return f"{value:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if low is not None and high is not None else "")


def _rank(row: Mapping[str, Any] | None) -> str:
    if row is None or row.get("rank") is None:
        return "–"
    return f"{row['rank']:.0f} ({row['rank_low']:.0f}–{row['rank_high']:.0f})"


def _plain(text: str) -> str:
    return " ".join(printable(text).split()).translate(_SIGNS)
