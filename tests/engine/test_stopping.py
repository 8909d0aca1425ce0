"""However a run ends, nothing of it goes on; and a signal to stop leaves a checkpoint."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

KINDS = ("fit-generator", "fit-segmenter", "evaluate")


def until(wanted: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.05)


def troubled(trial, trouble: str) -> Path:
    return trial.study(generators=[{"name": "troubled", "config": {"trouble": trouble}}], seeds=1)


def begun(trial) -> bool:
    return any(trial.store.glob(".work/fit-generator-*/begun"))


def waiting(trial) -> bool:
    """True when all has been done but for the task that waits."""
    return len(trial.artifacts("evaluate")) == 1


def checkpoints(trial) -> list[Path]:
    return list(trial.store.glob(".work/fit-generator-*/mark.txt"))


def test_a_task_may_have_processes_of_its_own(trial) -> None:
    trial.run("run", troubled(trial, "pool"))
    assert trial.remaining() == []


def test_what_a_finished_task_left_running_is_ended(trial) -> None:
    trial.run("run", troubled(trial, "litter"))
    assert trial.remaining() == []


def test_a_task_that_ran_out_of_time_leaves_nothing_behind(trial) -> None:
    trial.run("run", troubled(trial, "family"), "--time-limit", "8", code=3)
    assert trial.remaining() == []


@pytest.mark.parametrize("trouble", ["family", "frozen"])
def test_a_killed_run_leaves_nothing_behind(trial, trouble: str) -> None:
    process = trial.begin("run", troubled(trial, trouble))
    until(lambda: begun(trial))
    assert len(trial.left()) > 4
    process.kill()
    process.wait()
    until(lambda: not trial.left(), 20)


def test_a_stopped_run_leaves_nothing_behind(trial) -> None:
    process = trial.begin("run", troubled(trial, "family"))
    until(lambda: begun(trial))
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert trial.remaining() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_within_seconds_and_leaves_a_checkpoint(trial, number: int) -> None:
    process = trial.begin("run", troubled(trial, "wait"))
    until(lambda: waiting(trial))
    began = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=90)
    assert time.monotonic() - began < 30, "the task that waits would go on for ten minutes"
    assert process.returncode == 128 + number
    assert "synthbench: stopped; what is finished is kept" in output
    assert "Traceback" not in output
    assert "crashed" not in output
    assert waiting(trial)
    assert checkpoints(trial)
    board = trial.run("leaderboard", "runs/trial", code=2)
    assert "runs/trial: has no results yet" in board.stderr


def test_a_signal_to_every_process_stops_and_crashes_nothing(trial) -> None:
    """So end the jobs of a scheduler: all its processes are told at once."""
    process = trial.begin("run", troubled(trial, "wait"))
    until(lambda: waiting(trial))
    for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)][::-1]:
        each.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGTERM
    assert "crashed" not in output
    assert "Traceback" not in output
    assert "stopped in fit" in output
    assert checkpoints(trial)
    assert trial.remaining() == []


def test_a_terminal_that_hangs_up_stops_a_run(trial) -> None:
    command = trial.command("run", troubled(trial, "wait"))
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(trial.folder)
        os.execve(command[0], command, trial.environment())
    os.set_blocking(terminal, False)

    def drained() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 2**16)
        return waiting(trial)

    until(drained)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert checkpoints(trial)
    assert trial.remaining() == []


def test_an_ignored_hang_up_stays_ignored(trial) -> None:
    """As `nohup` starts a command."""
    study = trial.study(segmenters=[{"name": "threshold", "config": {"seconds": 0.5}}])
    process = subprocess.Popen(
        ["bash", "-c", 'trap "" HUP; exec "$@"', "-", *trial.command("run", study)],
        cwd=trial.folder,
        env=trial.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: trial.artifacts("fit-generator"))
    for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        each.send_signal(signal.SIGHUP)
    assert process.wait(timeout=120) == 0
