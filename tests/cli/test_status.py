"""`synthbench status`: from another terminal, while a run goes on and when it is gone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synthbench.cli import main


def until(wanted: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.2)


@pytest.mark.slow
def test_a_run_is_watched_while_it_goes_on_and_seen_to_be_dead_when_it_is_killed(trial) -> None:
    slow = {"name": "stepwise", "config": {"rounds": 100_000, "seconds": 0.02}}
    study = trial.study(segmenters=["threshold", slow], generators=[], seeds=1)
    running = trial.begin("run", study, "--workers", "1", start_new_session=True)
    state: dict = {}

    def trains() -> bool:
        if not (trial.folder / "runs" / "trial" / "progress" / "now.json").exists():
            return False
        state.update(json.loads(trial.call("status", "runs/trial", "--json").stdout))
        return any(task["total"] == 100_000 and task["done"] > 0 for task in state["running"])

    try:
        until(trains)
        assert state["state"] == "running"
        assert state["pid"] == running.pid
        text = trial.call("status", "runs/trial").stdout
        assert "fit-segmenter: stepwise" in text
        assert "/100000" in text
        page = trial.folder / "page.html"
        trial.call("status", "runs/trial", "--html", page)
        assert "http-equiv" in page.read_text()
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
    assert "died" in trial.call("status", "runs/trial").stdout
    until(lambda: not json.loads(trial.call("status", "runs/trial", "--json").stdout)["running"])
    dead = json.loads(trial.call("status", "runs/trial", "--watch", "--json").stdout)
    assert (dead["state"], dead["running"]) == ("died", [])
    assert sum(count["left"] for count in dead["kinds"]) > 0


def test_what_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["status", str(tmp_path), "--every", "0"]) == 2
    assert "--every 0: expected seconds above 0" in capsys.readouterr().err
