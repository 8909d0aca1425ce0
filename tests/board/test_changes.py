"""What a pull request adds to boards is verified, and shown before and after, by the script of the workflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.boards import Place
from helpers.repository import ROOT
from synthbench.board.changes import check_change, markdown
from synthbench.board.creating import add_entry
from synthbench.board.opening import open_board
from synthbench.board.rendering import render
from synthbench.errors import ConfigError


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(board: Path) -> Path:
    """A repository with the board as it was before an entry was added."""
    root = board.parent.parent
    render(open_board(board))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "board")
    return root


def script(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "leaderboards" / "check.py"), str(root / "leaderboards"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_new_entry_is_verified_and_its_rows_are_shown(place: Place, board: Path, repository: Path) -> None:
    assert "no entries to verify" in script(repository, "--base", "HEAD", "--without-data").stdout
    add_entry(board, place.brighter)
    render(open_board(board))
    table = repository / "table.md"
    done = script(repository, "--base", "HEAD", "--data", str(place.data), "--table", str(table))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blobs-board: brighter" in done.stdout
    assert "1 board(s), 0 problem(s)" in done.stdout
    added = [line for line in table.read_text().splitlines() if "brighter (brighter)" in line]
    assert len(added) == 1
    assert added[0].startswith("| blobs | 4 | threshold | real + brighter (brighter) × 4 | – | +0.000")
    missing = script(repository, "--base", "HEAD")
    assert missing.returncode == 1
    assert "problem: blobs-board/entries/brighter.zip: the dataset 'blobs' isn't at hand" in missing.stdout


def test_a_changed_frozen_part_is_a_problem(board: Path, repository: Path) -> None:
    content = yaml.safe_load((board / "board.yaml").read_text())
    content["study"]["seeds"] = 1
    content["entries"] = []
    (board / "board.yaml").write_text(yaml.safe_dump(content))
    change = check_change(board, "HEAD", without_data=True)
    assert any("study was changed, and a board is frozen" in problem for problem in change.problems)
    assert any("the entry 'first' was removed" in note for note in change.notes)
    assert "a board is frozen" in markdown(change)


def test_what_is_no_board_and_what_is_no_commit(board: Path, repository: Path) -> None:
    with pytest.raises(ConfigError, match="--base nowhere: is no commit"):
        check_change(board, "nowhere")
    (board / "board.yaml").write_text("format: 1\nname: '<script>'\n")
    change = check_change(board, "HEAD")
    assert len(change.problems) == 1
    assert "<script>" not in markdown(change)


@pytest.mark.parametrize("name", ["boards.yml", "boards-comment.yml"])
def test_the_workflows_run_nothing_that_was_submitted(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    (job,) = content["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert all("${{" not in command for command in commands)  # values come by variables, never as text of a command
    assert not any("submitted/leaderboards/check.py" in command or "./submitted" in command for command in commands)
    if name == "boards.yml":
        assert content["permissions"] == {"contents": "read"}
        assert any("base/leaderboards/check.py submitted/leaderboards --base" in command for command in commands)
