"""However `synthbench score` ends, none of its processes goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from synthbench.samples import write_array


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two folders of links to one large label map: scoring them takes a while."""
    labels = np.kron(np.arange(1, 901, dtype=np.uint16).reshape(30, 30), np.ones((30, 30), np.uint16))
    write_array(tmp_path / "labels.png", labels)
    found = [tmp_path / "predicted", tmp_path / "truth"]
    for folder in found:
        folder.mkdir()
        for index in range(900):
            (folder / f"{index}.png").symlink_to(tmp_path / "labels.png")
    return found


@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_scoring_ends_all_of_it(trial, folders: list[Path], number: int, to_all: bool) -> None:
    process = trial.begin("score", *folders, "--workers", "2")
    main, deadline = psutil.Process(process.pid), time.monotonic() + 60
    while len(main.children(recursive=True)) < 3:  # two, and the one in which Python keeps account of shared memory
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)  # the pool is still being filled: Python's own thread complains of workers that die by then
    for each in main.children(recursive=True) if to_all else ():
        each.send_signal(number)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:  # nothing keeps Python from telling of a process that it was about to start
        assert "synthbench: stopped" in output
        assert "Traceback" not in output
    deadline = time.monotonic() + 10
    while trial.left():
        assert time.monotonic() < deadline, trial.left()
        time.sleep(0.1)
