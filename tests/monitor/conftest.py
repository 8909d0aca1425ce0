"""One small finished run, and copies of it to play with."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import synthbench
from helpers.trial import TRIAL_STUDY, trial_plugins
from synthbench.store import Store


@dataclass(frozen=True)
class Watched:
    """A run folder, its store, and the leaderboard that the run ended with."""

    folder: Path
    store: Path
    board: pd.DataFrame

    def read(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / "progress" / name).read_text(encoding="utf-8")))

    def change(self, name: str, **values: object) -> None:
        path = self.folder / "progress" / name
        path.write_text(json.dumps(self.read(name) | values), encoding="utf-8")

    def tasks(self, kind: str) -> list[dict[str, Any]]:
        return [task for task in self.read("tasks.json")["tasks"] if task["kind"] == kind]

    def lose(self, task: dict[str, Any]) -> None:
        """Take a task's artifact out of the store, so that the run has yet to make it."""
        shutil.rmtree(self.store / task["kind"] / task["key"])
        self.change("tasks.json", tasks=[each | {"runs": True} for each in self.read("tasks.json")["tasks"]])


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Watched:
    folder = tmp_path_factory.mktemp("watched")
    with trial_plugins(trial_site), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHBENCH_HOME", str(folder / "home"))
        ran = synthbench.run(TRIAL_STUDY, store=folder / "store", folder=folder / "run", engine="serial", device="cpu")
        return Watched(folder / "run", folder / "store", ran.table())


@pytest.fixture
def watched(finished_run: Watched, tmp_path: Path) -> Watched:
    """A copy of the run and its store."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    shutil.copytree(finished_run.store, tmp_path / "store")
    made = Watched(tmp_path / "run", tmp_path / "store", finished_run.board)
    made.change("tasks.json", store=str(Store(made.store).root))
    return made
