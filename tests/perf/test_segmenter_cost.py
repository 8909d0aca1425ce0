"""The clock of `segmenter_cost.py`: a stage within another, and other threads, are counted once."""

from __future__ import annotations

import runpy
import threading
import time
from pathlib import Path

import pytest

Clock = runpy.run_path(str(Path(__file__).with_name("segmenter_cost.py")))["Clock"]


def work(seconds: float) -> None:
    """Use a thread's processor for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_stage_within_another_counts_once() -> None:
    clock = Clock()
    with clock.stage("outer"):
        work(0.05)
        with clock.stage("inner"):
            work(0.1)
    assert clock.seconds["outer"] == pytest.approx(0.05, abs=0.02)
    assert clock.seconds["inner"] == pytest.approx(0.1, abs=0.02)


def test_the_time_of_another_thread_is_not_that_of_the_main_one() -> None:
    clock = Clock()

    def other() -> None:
        with clock.stage("other"):
            work(0.1)

    with clock.stage("main"):
        thread = threading.Thread(target=other)
        thread.start()
        work(0.05)
        thread.join()
    assert clock.seconds["other"] == pytest.approx(0.1, abs=0.02)
    assert clock.seconds["main"] == pytest.approx(0.05, abs=0.02)
