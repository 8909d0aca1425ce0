"""Workers as interpreters that take messages: what they answer, and what doesn't disturb them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from synthbench.engine import Event, Options, Outcome, WorkerProcess, wait_for_workers
from synthbench.engine.local import LocalEngine
from synthbench.engine.messages import read_answer, read_task, task_message, tell
from synthbench.plugin.api import Config
from synthbench.processes.handshake import PROTOCOL, hello, hello_problem
from synthbench.store import Store, key_of
from synthbench.study.plan import Task


def unknown_task(label: str = "x") -> Task:
    """A task that fails at once: its code is none that could be known."""
    content = {"kind": "assess", "label": label}
    return Task("assess", key_of(content), content, ("a",), {"ids": [1, 2]}, label)


def until_outcome(worker: WorkerProcess, seconds: float = 60) -> Outcome:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        wait_for_workers([worker], 0.5)
        for answer in worker.receive():
            if isinstance(answer, Outcome):
                return answer
        assert worker.is_running(), worker.how_it_ended()
        assert not worker.problem, worker.problem
    raise AssertionError("no outcome came")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers, which are ended after the test."""
    workers: list[WorkerProcess] = []

    def start(python: str = "") -> WorkerProcess:
        options = Options(str(tmp_path / "store"), interpreters={"other": python})
        workers.append(WorkerProcess(options, [], environment="other" if python else ""))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


def script(path: Path, body: str) -> str:
    """Write an executable that stands in for an interpreter."""
    path.write_text(f"#!{sys.executable}\nimport sys, os, json, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_messages_give_back_what_was_put_in() -> None:
    task, options = unknown_task(), Options("store", "cuda:1", 3, {"hardware": {"cores": 2}}, time_limit=5.0, workers=9)
    message = json.loads(json.dumps(task_message(task, options)))
    assert read_task(message) == (task, Options("store", "cuda:1", 3, {"hardware": {"cores": 2}}))
    for answer in (Event("k", "fit", 1, 2, "loss 0.3"), Outcome("k", "failed", "fit", "a\nb", "trace", 1.5, 2.5)):
        assert read_answer(json.loads(json.dumps(tell(answer)))) == answer


@pytest.mark.parametrize("message", [{"type": "noise"}, {"type": "event", "mood": 1}, {"type": "outcome"}])
def test_what_is_no_answer_is_none(message: dict) -> None:
    assert read_answer(message) is None


def test_a_worker_of_another_version_says_so() -> None:
    assert hello_problem(hello()) == ""
    assert f"protocol {PROTOCOL + 1}" in hello_problem({**hello(), "protocol": PROTOCOL + 1})
    assert "synthbench 9.9" in hello_problem({**hello(), "synthbench": "9.9"})
    assert hello_problem({"type": "event"})


def test_a_worker_runs_one_task_after_another(started) -> None:
    worker = started()
    for label in ("first", "second"):
        task = unknown_task(label)
        worker.start(task)
        outcome = until_outcome(worker)
        assert (outcome.key, outcome.status) == (task.key, "failed")
        assert worker.task is None


def test_a_message_larger_than_a_pipe_arrives(started, tmp_path: Path) -> None:
    worker = started()
    content = {"kind": "assess", "ids": ["an id of an image"] * 100_000}
    worker.start(Task("assess", key_of(content), content, (), {}, "large"))
    assert until_outcome(worker).key == key_of(content)


def test_a_task_that_another_process_computes_is_busy(started, tmp_path: Path) -> None:
    task = unknown_task()
    worker = started()
    claim = Store(tmp_path / "store").claim(task.kind, task.key)
    assert claim is not None
    with claim:
        worker.start(task)
        assert until_outcome(worker) == Outcome(task.key, "busy")


def test_what_is_printed_on_the_way_is_no_message(started, tmp_path: Path) -> None:
    """By an environment that greets its users, say."""
    noisy = script(
        tmp_path / "python",
        'print("welcome to the cluster"); print("{}"); print("no newline", end=""); sys.stdout.flush()\n'
        f"os.environ['PYTHONPATH'] = {os.pathsep.join(sys.path)!r}\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])",
    )
    worker = started(noisy)
    worker.start(unknown_task())
    assert until_outcome(worker).status == "failed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('print(json.dumps({"type": "hello", "protocol": 99, "synthbench": "9.9"}), flush=True); time.sleep(60)', "99"),
        ('print(json.dumps({"type": "outcome", "key": "x"}), flush=True); time.sleep(60)', "protocol none"),
    ],
)
def test_a_worker_that_speaks_otherwise_is_a_problem(started, tmp_path: Path, body: str, said: str) -> None:
    worker = started(script(tmp_path / "python", body))
    worker.start(unknown_task())
    deadline = time.monotonic() + 30
    while not worker.problem and time.monotonic() < deadline:
        wait_for_workers([worker], 0.5)
        worker.receive()
    assert said in worker.problem


def test_a_worker_ends_when_nobody_listens_any_more(started) -> None:
    worker = started()
    worker.start(unknown_task())
    until_outcome(worker)
    worker.interpreter.dismiss(20)
    assert not worker.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_does_not_end_a_worker(started, number: int) -> None:
    """A scheduler sends it to every process: what the worker does about it is left to who gave it the task."""
    worker = started()
    os.kill(worker.interpreter.pid, number)
    worker.start(unknown_task())
    assert until_outcome(worker).status == "failed"


def test_a_process_that_died_while_it_was_idle_gets_no_task(tmp_path: Path) -> None:
    engine = LocalEngine(Options(str(tmp_path / "store")), Config())
    try:
        heard: list[str] = []
        for label in ("first", "second"):
            engine.start(unknown_task(label))
            while not any(isinstance(outcome := answer, Outcome) for answer in engine.wait(1.0)):
                pass
            heard.append(outcome.status)
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.ZombieProcess):
                    if "synthbench.engine.worker" in child.cmdline():
                        child.kill()
                        child.wait()
        assert heard == ["failed", "failed"], "not crashed"
    finally:
        engine.close()
