"""The same study by several commands on one store: they divide its tasks, and end with the same results."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pandas as pd
import pytest

from synthbench.results import load_results

KINDS = ("fit-generator", "draw", "encode", "fit-segmenter", "evaluate", "assess")
FINISHED = re.compile(r"^\[\d+/\d+.*\] (\S+: .*): [\d.]+ s$", re.MULTILINE)


def images(folder: Path) -> pd.DataFrame:
    return load_results(folder).images


def slow(trial, seconds: float) -> Path:
    return trial.study(segmenters=[{"name": "threshold", "config": {"seconds": seconds}}], seeds=4)


@pytest.mark.parametrize("number", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_commands_divide_a_study_and_compute_each_task_once(trial, number: int) -> None:
    study = slow(trial, 0.3)
    calm = trial.run("run", study, "--store", trial.folder / "calm", "--out", trial.folder / "calm-run")
    outs = [trial.folder / f"out{each}" for each in range(number)]
    processes = [trial.begin("run", study, "--workers", "1", "--out", out) for out in outs]
    told = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * number, told
    finished = [task for text in told for task in FINISHED.findall(text)]
    assert sorted(finished) == sorted(FINISHED.findall(calm.stderr)), "each task once"
    assert number > 2 or all(FINISHED.search(text) for text in told), "each of the two did some"
    for out in outs:
        pd.testing.assert_frame_equal(images(out), images(trial.folder / "calm-run"))


@pytest.mark.slow
def test_commands_may_share_a_run_folder(trial) -> None:
    study = slow(trial, 0.2)
    processes = [trial.begin("run", study, "--workers", "1") for _ in range(3)]
    told = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, told
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}


def test_a_command_that_is_killed_loses_its_own_task_only(trial) -> None:
    study = slow(trial, 1.0)
    first = trial.begin("run", study, "--workers", "1", "--out", trial.folder / "first")
    deadline = time.monotonic() + 60
    while not any((trial.store / ".work").glob("fit-segmenter-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = trial.begin("run", study, "--workers", "1", "--out", trial.folder / "second")
    told = []
    for line in second.stdout:
        told.append(line)
        if FINISHED.search(line):
            break
    first.kill()
    first.communicate()
    kept = {kind: trial.artifacts(kind) for kind in KINDS}
    told.append(second.communicate(timeout=120)[0])
    assert second.returncode == 0, told
    assert all(kept[kind].items() <= trial.artifacts(kind).items() for kind in KINDS), "a finished task was redone"
    assert set(load_results(trial.folder / "second").runs["status"]) == {"ok"}
