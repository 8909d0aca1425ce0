"""What runs in the workers of Dask: who is let in, and one task per job, in a process of its own.

Everything comes and goes as JSON text. A run is known here from its admission until it leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Reschedule, Worker, get_worker
from distributed.core import Status

from synthbench.engine import Event, Options, Outcome
from synthbench.engine.local import LocalEngine
from synthbench.engine.messages import read_answer, read_task, tell
from synthbench.engine.peers import peer_problem
from synthbench.engine.resource_monitor import facts
from synthbench.store import Store
from synthbench_dask.resources import UNLIMITED, offered
from synthbench_dask.slots import Slots

__all__ = ["admit", "leave", "run_job", "stop"]

GLANCE = 0.25
"""Seconds between two looks at whether a task is still wanted."""

CHECKPOINT_GRACE = 20.0
"""Seconds that a task gets to leave a checkpoint when it is stopped."""

STOP_FOLLOWS = 1.0
"""Seconds in which a run also says that it stops, if a task was told to stop because it does."""

VISIBLE_WITHIN = 60.0
"""Seconds in which a shared file system shows what another machine has written."""

FIRST_REPORT, REPORT_EVERY = 0.3, 0.5

_runs: dict[str, Slots] = {}


async def admit(request: str, dask_worker: Worker) -> str:
    """Look whether this worker can compute for a run, and let the run's tasks come here if so.

    Parameters
    ----------
    request
        JSON: ``run``, ``probe``, ``token``, ``versions`` and ``options``.

    Returns
    -------
    str
        JSON: ``host``, ``problem`` (empty if there is none), ``slots``, ``gpus`` and ``memory_mb``.
    """
    wanted = json.loads(request)
    run, options = wanted["run"], Options(**wanted["options"])
    problem = await asyncio.to_thread(peer_problem, Path(wanted["probe"]), wanted["token"], wanted["versions"])
    slots = max(1, dask_worker.state.nthreads // options.threads)
    limit = dask_worker.memory_manager.memory_limit
    memory = max(1, limit // 2**20) if limit else UNLIMITED
    if not problem:
        if run not in _runs:
            _runs[run] = Slots(replace(options, facts=await asyncio.to_thread(facts), gpus=(), workers=1))
        await dask_worker.set_resources(**offered(run, slots, memory))
    gpus = int(dask_worker.state.total_resources.get("GPU", 0))
    member = {"host": socket.gethostname(), "problem": problem, "slots": slots, "gpus": gpus, "memory_mb": memory}
    return json.dumps(member)


def stop(run: str) -> None:
    """Ask the tasks of a run to stop, and begin no more of them."""
    if run in _runs:
        _runs[run].stopping.set()


async def leave(run: str, dask_worker: Worker) -> None:
    """Forget a run; what it keeps running here is ended."""
    slots = _runs.pop(run, None)
    if slots is not None:
        await asyncio.to_thread(slots.close)
        await dask_worker.set_resources(**offered(run, 0, 0))


def run_job(run: str, message: str, on_gpu: bool, needs: Sequence[tuple[str, str]], outcomes: Sequence[str]) -> str:
    """Run a task, and return its outcome.

    Parameters
    ----------
    run, message
        The run, and the message that starts the task.
    on_gpu
        Whether it takes one of the worker's GPUs.
    needs
        Kind and key of artifacts that the task reads, and this run has made.
    outcomes
        How the jobs ended that were still to make some of them.

    Raises
    ------
    Reschedule
        If this worker is about to end: another one resumes the task.
    """
    task, _ = read_task(json.loads(message))
    slots = _runs.get(run)
    ready = all(isinstance(answer := read_answer(json.loads(text)), Outcome) and answer.ok for text in outcomes)
    if slots is None or slots.stopping.is_set() or not ready:
        return json.dumps(tell(Outcome(task.key, "early")))
    await_artifacts(Store(slots.options.store), needs, VISIBLE_WITHIN)
    with slots.taken(on_gpu) as engine:
        engine.start(task)
        return json.dumps(tell(_follow(engine, slots, task.key, _Reporter(get_worker(), run))))


def _follow(engine: LocalEngine, slots: Slots, key: str, reporter: _Reporter) -> Outcome:
    worker, job = reporter.worker, reporter.worker.get_current_task()
    while not slots.stopping.is_set() and _is_wanted(worker, job):
        for answer in engine.wait(GLANCE):
            if isinstance(answer, Event):
                reporter.hear(answer)
            elif answer.status != "stopped" or slots.stopping.wait(STOP_FOLLOWS):
                return answer
            else:  # only this worker's processes were told to end
                raise Reschedule
        reporter.pass_on()
    answers = engine.close(CHECKPOINT_GRACE)
    if not slots.stopping.is_set():
        raise Reschedule
    return next((a for a in answers if isinstance(a, Outcome)), Outcome(key, "early"))


def _is_wanted(worker: Worker, job: Any) -> bool:
    """Whether the worker goes on, and somebody still waits for a job: if the run was killed, nobody does."""
    state = worker.state.tasks.get(job)
    goes_on = worker.status in (Status.running, Status.paused) and threading.main_thread().is_alive()
    return goes_on and state is not None and state.state != "cancelled"


def await_artifacts(store: Store, artifacts: Sequence[tuple[str, str]], seconds: float) -> bool:
    """Wait until artifacts that were made elsewhere can be seen here; return whether they can."""
    deadline = time.monotonic() + seconds
    for kind, key in artifacts:
        while store.find(kind, key) is None:
            if time.monotonic() > deadline:
                return False
            with os.scandir(store.root):  # lets a network's file system ask its server again
                time.sleep(0.1)
    return True


class _Reporter:
    """Passes on how far a task is, but not everything, so that many short tasks don't talk too much."""

    def __init__(self, worker: Worker, topic: str) -> None:
        self.worker, self._topic = worker, topic
        self._latest: Event | None = None
        self._next = time.monotonic() + FIRST_REPORT

    def hear(self, event: Event) -> None:
        if event.message:
            self._send(event)
        else:
            self._latest = event

    def pass_on(self) -> None:
        if self._latest is not None and time.monotonic() >= self._next:
            self._send(self._latest)
            self._latest, self._next = None, time.monotonic() + REPORT_EVERY

    def _send(self, event: Event) -> None:
        self.worker.log_event(self._topic, json.dumps(tell(event)))
