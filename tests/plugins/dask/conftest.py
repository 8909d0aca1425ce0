"""A scheduler of Dask and its workers, started as people start them, for tests of runs that join them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("distributed", reason="needs synthbench[dask]")


def until(wanted: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.05)


def stepwise(trial, rounds: int = 120) -> Path:
    """A study of one training, which takes some seconds and leaves checkpoints."""
    segmenter = {"name": "stepwise", "config": {"rounds": rounds}}
    return trial.study(generators=None, synthetic=None, encoder=None, segmenters=[segmenter], seeds=1)


def trained(store: Path) -> str:
    """What the training of that study has come to, to the last bit."""
    (level,) = store.glob("fit-segmenter/*/**/level.txt")
    return level.read_text()


def training(trial) -> psutil.Process:
    """The process that is training, once it has left some checkpoints."""

    def checkpointed() -> bool:
        return any(
            json.loads(path.read_text())[0] > 10 for path in trial.store.glob(".work/fit-segmenter-*/round.json")
        )

    until(checkpointed)
    (claim,) = trial.store.glob(".locks/fit-segmenter-*.claim")
    return psutil.Process(json.loads(claim.read_text().splitlines()[0])["pid"])


class Site:
    """A scheduler and workers, all on this machine."""

    def __init__(self, trial) -> None:
        self.trial = trial
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start_scheduler(self, port: int = 0, **environment: str) -> str:
        file = self.trial.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", port, "--no-dashboard", "--scheduler-file", file]
        self.scheduler = self.start("scheduler", words, {**self.trial.environment(), **environment})
        until(file.exists)
        self.address = json.loads(file.read_text())["address"]
        return self.address

    def start_worker(self, *words: object, **environment: str) -> subprocess.Popen[bytes]:
        common = [self.address, "--nthreads", 1, "--no-dashboard", "--local-directory", self.trial.folder / "dask"]
        return self.start("worker", [*common, *words], {**self.trial.environment(), **environment})

    def start(
        self, what: str, words: list[object], environment: dict[str, str], within: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        command = [*within, sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, words)]
        log = (self.trial.folder / f"{what}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=self.trial.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes[::-1]:
            process.kill()
            process.wait()


@pytest.fixture
def site(trial) -> Iterator[Site]:
    """A scheduler and workers, ended after the test."""
    started = Site(trial)
    yield started
    started.close()


@pytest.fixture
def other_synthbench(tmp_path: Path, trial_site: Path) -> str:
    """A PYTHONPATH that makes a worker say it is another version of synthbench."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import synthbench.version\nsynthbench.version.__version__ = '0.0.7'\n")
    return str(folder)
