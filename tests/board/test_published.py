"""The boards of leaderboards/: every entry verified, with its scores where the images are at hand, and their site."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.browser import Browser
from helpers.real_data import find_real_data
from synthbench.board.changes import board_folders
from synthbench.board.checking import check_board
from synthbench.board.model import MOST_BYTES, read_board
from synthbench.site.building import build_site

BOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
FOLDERS = board_folders(BOARDS)


def images_of(folder: Path, real_data: Path | None) -> list[str]:
    """The paths of a board's datasets, or none where the images aren't at hand."""
    return [str(real_data / title) for title in read_board(folder)[0].splits] if real_data else []


def test_there_are_boards() -> None:
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_entries_are_whole_and_scores_and_tables_come_out_the_same(folder: Path) -> None:
    assert all(file.stat().st_size <= MOST_BYTES for file in (folder / "entries").iterdir())
    data = images_of(folder, find_real_data())
    found = check_board(folder, data=data, without_data=not data)
    assert found.problems == []
    if not data:
        pytest.skip(f"scores of {folder.name} weren't computed again: no real micrographs; set SYNTHBENCH_TEST_DATA")
    assert found.not_verified == []


@pytest.mark.browser
def test_the_site_shows_all_of_them(real_data: Path, browser: Browser, tmp_path: Path) -> None:
    data = {path for folder in FOLDERS for path in images_of(folder, real_data)}
    built = build_site(BOARDS, tmp_path / "site", sorted(data))
    assert built.boards == len(FOLDERS)
    assert [note for note in built.notes if "is no board" not in note] == []
    for page in sorted((tmp_path / "site").rglob("*.html")):
        browser.open(page, 400)
        assert browser.problems == [], page.name
        assert browser.run("document.documentElement.scrollWidth") <= 400, page.name
