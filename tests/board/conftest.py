"""One board of trial plugins, and runs that take part in it, for all tests of boards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.boards import Place, run_bundle, write_data
from helpers.trial import trial_plugins
from synthbench.board.creating import new_board
from synthbench.board.opening import baseline_keys
from synthbench.board.participating import study_content


@pytest.fixture(autouse=True)
def trial_plugins_are_installed(trial_registry: None) -> None:
    """Every test here looks at what trial plugins made."""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Place:
    folder = tmp_path_factory.mktemp("boards")
    data = write_data(folder / "blobs")
    study: dict[str, object] = {
        "name": "first",
        "datasets": [str(data)],
        "generators": ["duplicate", {"name": "brighter", "config": {"gain": 1.3}}],
        "segmenters": ["threshold"],
        "encoder": "moments",
        "fractions": [4],
        "real_only": [8],
        "synthetic": [4],
        "seeds": 2,
        "budget": "smoke",
    }
    with trial_plugins(trial_site):
        first = run_bundle(folder, "first", study)
        board = folder / "leaderboards" / "blobs-board"
        new_board(first, board, question="Do brighter blobs help?", data=[str(data)])
        other = {"name": "brighter", "config": {"gain": 1.6}}
        own = study_content(board, [], [str(data)]) | {"generators": [other]}
        brighter = run_bundle(folder, "brighter", own, baseline_keys(board))
        same = study_content(board, ["duplicate"], [str(data)])
        again = run_bundle(folder, "again", same)
    stores = {name: folder / f"store-{name}" for name in ("first", "brighter", "again")}
    return Place(data, board, first, brighter, again, folder / "runs", stores)


@pytest.fixture
def board(place: Place, tmp_path: Path) -> Path:
    """A copy of the board that a test may change."""
    return Path(shutil.copytree(place.board, tmp_path / "leaderboards" / "blobs-board"))
