"""Studies on workers of Dask that the run starts on this machine."""

from __future__ import annotations

import os
import signal
import time

import pandas as pd
import psutil
import pytest

from plugins.dask.conftest import stepwise, trained, training, until
from synthbench.results import load_results

DASK = ("--engine", "dask", "--workers", "2")


def tables(folder) -> list[pd.DataFrame]:
    found = load_results(folder)
    runs = found.runs[["arm", "segmenter", "seed", "status", "coco_ap"]]
    return [found.images, runs, found.fidelity, found.label_consistency]


def dask_workers(trial) -> list[psutil.Process]:
    """The processes in which Dask's workers are, without their nannies."""
    return [p for p in trial.processes() if "spawn_main" in " ".join(p.cmdline())]


def waiting(trial) -> bool:
    return len(trial.artifacts("evaluate")) == 1


def troubled(trial, trouble: str):
    return trial.study(generators=[{"name": "troubled", "config": {"trouble": trouble}}], seeds=1)


def test_the_tables_are_those_of_the_serial_engine(trial) -> None:
    study = trial.study()
    trial.run("run", study, "--engine", "serial", "--store", trial.folder / "one", "--out", trial.folder / "calm")
    done = trial.run("run", study, *DASK)
    for ours, theirs in zip(tables(trial.folder / "runs" / "trial"), tables(trial.folder / "calm"), strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
    assert "Traceback" not in done.stderr
    assert trial.remaining() == []
    assert list(trial.store.glob(".probe*")) == []
    assert "0 to run" in trial.run("run", study, *DASK).stderr


@pytest.mark.parametrize(
    ("trouble", "status", "error"), [("raise", "failed", "the loss is NaN"), ("die", "crashed", "signal 9")]
)
@pytest.mark.slow
def test_a_failing_task_is_a_typed_row_and_the_rest_goes_on(trial, trouble: str, status: str, error: str) -> None:
    study = trial.study(generators=["brighter", {"name": "troubled", "config": {"trouble": trouble}}], seeds=1)
    trial.run("run", study, *DASK, code=3)
    results = load_results(trial.folder / "runs" / "trial")
    by_arm = results.runs.set_index("arm")["status"].to_dict()
    assert by_arm == {"real": "ok", "real + brighter × 4": "ok", "real + troubled × 4": "failed"}
    tasks = results.tasks[results.tasks["plugin"] == "troubled"].set_index("kind")
    assert tasks.loc["fit-generator", ["status", "stage"]].tolist() == [status, "fit"]
    assert error in tasks.loc["fit-generator", "error"]
    assert tasks.loc["draw", "status"] == "missing"
    assert trial.remaining() == []


@pytest.mark.slow
def test_a_task_that_takes_too_long_is_ended(trial) -> None:
    trial.run("run", troubled(trial, "family"), *DASK, "--time-limit", "8", code=3)
    tasks = load_results(trial.folder / "runs" / "trial").tasks.set_index("kind")
    assert tasks.loc["fit-generator", "status"] == "timeout"
    assert trial.remaining() == []


@pytest.mark.parametrize("to_all", [False, True], ids=["to the command", "to its group, as a terminal's Ctrl-C"])
@pytest.mark.slow
def test_ctrl_c_stops_within_seconds_and_leaves_a_checkpoint(trial, to_all: bool) -> None:
    process = trial.begin("run", troubled(trial, "wait"), *DASK, start_new_session=True)
    until(lambda: waiting(trial))
    began = time.monotonic()
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert time.monotonic() - began < 30
    assert process.returncode == 128 + signal.SIGINT, output
    assert "Traceback" not in output
    assert "crashed" not in output
    assert "stopped in fit" in output
    assert list(trial.store.glob(".work/fit-generator-*/mark.txt"))
    assert trial.remaining() == []
    assert list(trial.store.glob(".probe*")) == []


@pytest.mark.slow
def test_a_killed_run_leaves_no_process(trial) -> None:
    process = trial.begin("run", troubled(trial, "family"), *DASK)
    until(lambda: any(trial.store.glob(".work/fit-generator-*/begun")))
    process.kill()
    process.wait()
    until(lambda: not trial.left(), 30)


@pytest.mark.slow
def test_a_training_whose_dask_worker_is_killed_resumes_from_its_checkpoint_with_the_same_bits(trial) -> None:
    study = stepwise(trial)
    trial.run("run", study, "--engine", "serial", "--store", trial.folder / "calm", "--out", trial.folder / "calm-run")
    process = trial.begin("run", study, *DASK)
    training(trial).parent().kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "resumed at round" in output
    assert trained(trial.store) == trained(trial.folder / "calm")
    assert trial.remaining() == []


@pytest.mark.slow
def test_a_dask_worker_that_dies_costs_no_result(trial) -> None:
    """Its task runs again on another one; in the end nothing of either is left."""
    slow = trial.study(segmenters=[{"name": "threshold", "config": {"seconds": 2.0}}])
    process = trial.begin("run", slow, *DASK)
    until(lambda: any(trial.store.glob(".work/fit-segmenter-*")))
    dask_workers(trial)[0].kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}
    assert trial.remaining() == []


@pytest.mark.slow
def test_short_tasks_go_on_beside_a_long_training(trial) -> None:
    long = {"name": "stepwise", "config": {"rounds": 600}, "seeds": 1}
    short = {"name": "threshold", "config": {"seconds": 0.2}, "seeds": 6}
    study = trial.study(generators=None, synthetic=None, encoder=None, segmenters=[long, short])
    told = trial.run("run", study, *DASK).stderr.splitlines()
    ended = [line.partition("] ")[2] for line in told if line.startswith("[") and line.endswith(" s")]
    assert ended[-2].startswith("fit-segmenter: stepwise"), ended
    assert sum("threshold" in line for line in ended[:-2]) == 12
