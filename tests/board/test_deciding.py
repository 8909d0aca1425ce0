"""Boards whose study decides how many seeds an arm gets: made, joined, and what their tables then say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from helpers.boards import Place, run_bundle
from helpers.trial import trial_plugins
from synthbench import leaderboard
from synthbench.board.creating import new_board
from synthbench.board.entries import open_entry
from synthbench.board.opening import baseline_keys, open_board
from synthbench.board.participating import study_content
from synthbench.cli import main
from synthbench.errors import ConfigError

STUDY: dict[str, Any] = {
    "generators": ["duplicate", {"name": "brighter", "config": {"gain": 1.3}}, "shuffled", "classic"],
    "segmenters": ["threshold"],
    "encoder": "moments",
    "fractions": [4],
    "real_only": [8],
    "synthetic": [4],
    "seeds": 4,
    "decide": 0.05,
    "budget": "smoke",
}


@pytest.fixture(scope="module")
def deciding(place: Place, tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> tuple[Path, Path]:
    """A board whose first entry has four generators, and a bundle of another one of a single generator."""
    folder = tmp_path_factory.mktemp("deciding")
    with trial_plugins(trial_site):
        first = run_bundle(folder, "first", STUDY | {"name": "first", "datasets": [str(place.data)]})
        board = folder / "blobs-deciding"
        new_board(first, board, question="Which blobs help?", data=[str(place.data)])
        other = {"name": "brighter", "label": "dim", "config": {"gain": 0.6}}
        own = study_content(board, [], [str(place.data)]) | {"generators": [other]}
        return board, run_bundle(folder, "dim", own)


def test_a_board_shows_of_its_first_entry_what_its_run_shows(deciding: tuple[Path, Path]) -> None:
    board, _ = deciding
    own = open_entry(board / "entries" / "first.zip").contents.results
    (group,) = open_board(board).groups
    shown, expected = (leaderboard.table(each, draws=200) for each in (group.results, own))
    pd.testing.assert_frame_equal(shown[expected.columns], expected)
    assert set(expected["decision"]) >= {"decided after 2 seeds"}


def test_an_entry_that_decides_joins_and_is_checked(
    place: Place, deciding: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single arm has its first look at five seeds, so alone it isn't decided by four; among five arms it is."""
    made, dim = deciding
    board = Path(shutil.copytree(made, tmp_path / made.name))
    alone = leaderboard.table(open_entry(dim).contents.results, draws=200).set_index("arm")
    assert main(["board", "add", str(board), str(dim), "--data", str(place.data)]) == 0
    assert main(["board", "check", str(board), "--data", str(place.data)]) == 0
    (group,) = open_board(board).groups
    assert group.entries == ("first", "dim")
    table = leaderboard.table(group.results, draws=200)
    row = table[table["fraction"] == 4].set_index("arm").loc["real + dim × 4"]
    print(alone.loc["real + dim × 4"])
    assert row["entry"] == "dim"
    assert row["decision"].startswith("decided after")
    assert row["delta_low"] <= row["delta"] <= row["delta_high"]


def test_a_deciding_run_needs_its_own_baseline(place: Place, deciding: tuple[Path, Path], tmp_path: Path) -> None:
    board, _ = deciding
    own = study_content(board, ["duplicate"], [str(place.data)])
    with pytest.raises(ConfigError, match="this study decides by its own"):
        run_bundle(tmp_path, "reusing", own, baseline_keys(board))
    with pytest.raises(ConfigError, match="no arm to decide on"):
        run_bundle(tmp_path, "none", study_content(board, [], [str(place.data)]))
