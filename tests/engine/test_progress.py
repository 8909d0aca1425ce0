"""What a run says of the time that is left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from synthbench.engine import progress
from synthbench.engine.base import Event, Outcome
from synthbench.engine.progress import Display
from synthbench.store import Store
from synthbench.study.plan import Task
from synthbench.study.runtime_estimates import RuntimeEstimates


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the start, to be moved by hand."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "ANNOUNCE_EVERY", -1.0)
    return now


def test_a_task_that_has_trained_is_not_expected_to_begin_again(tmp_path: Path, clock: list[float]) -> None:
    tasks = [Task("fit-segmenter", key, {"plugin": {"budget": {}}}, (), {}, key) for key in "ab"]
    out = io.StringIO()
    with Display(tasks, 0, RuntimeEstimates(Store(tmp_path), ["fit-segmenter"]), 1, Console(file=out)) as listen:
        listen(Event("a", "fit", 0, 100))
        clock[0] = 300.0
        listen(Outcome("a", "done", seconds=300.0))
        listen(Event("b", "read"))
        clock[0] = 360.0
        listen(Event("b", "fit", 60, 100))
        clock[0] = 400.0
        listen(Event("b", "fit", 100, 100))
        clock[0] = 401.0
        listen(Event("b", "save"))
        listen(Outcome("b", "done", seconds=101.0))
    left = [line.split("]")[0].partition(", ")[2] for line in out.getvalue().splitlines()]
    assert left[1:] == ["about 5 min left", "about 5 min left", "about 40 s left", *2 * ["about 0 s left"], ""]


def test_what_a_task_tells_is_shown_at_once(tmp_path: Path) -> None:
    tasks = [Task("fit-segmenter", "a", {"plugin": {"budget": {}}}, (), {}, "unet on real")]
    out = io.StringIO()
    with Display(tasks, 0, RuntimeEstimates(Store(tmp_path), ["fit-segmenter"]), 1, Console(file=out)) as listen:
        listen(Event("a", "fit", message="the checkpoint training.pt was damaged; training begins again at step 0"))
    assert "fit-segmenter: unet on real: the checkpoint training.pt was damaged; training begins" in out.getvalue()


def test_a_task_that_was_stopped_counts_as_not_done(tmp_path: Path) -> None:
    tasks = [Task("fit-segmenter", key, {"plugin": {"budget": {}}}, (), {}, key) for key in "abc"]
    out = io.StringIO()
    with Display(tasks, 0, RuntimeEstimates(Store(tmp_path), ["fit-segmenter"]), 1, Console(file=out)) as listen:
        listen(Outcome("a", "done", seconds=1.0))
        listen(Outcome("b", "failed", stage="fit", error="no"))
        listen(Outcome("c", "stopped", stage="fit", error="stopped by the user"))
    assert [line[1:4] for line in out.getvalue().splitlines()] == ["1/3", "2/3", "2/3"]
    assert set(listen.ended) == {"a", "b", "c"}
