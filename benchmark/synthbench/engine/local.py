"""Processes on this machine: one task each, a time limit, a GPU of its own. A process that dies loses its task only.

Each leads a family of what its tasks start, and is ended with all of it. A guard does so when this process is killed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from synthbench.engine.base import Engine, Event, Options, Outcome
from synthbench.engine.devices import inherited
from synthbench.engine.worker import work
from synthbench.processes.child import CONTEXT, how_it_ended, spawn
from synthbench.processes.family import end_family, new_mark
from synthbench.processes.guard import Guard
from synthbench.processes.signals import defer_signals
from synthbench.study.plan import Task

__all__ = ["LocalEngine"]


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    gpus: list[str]
    mark: str
    task: Task | None = None
    began: float = 0.0
    stage: str = "start"
    used: set[str] = field(default_factory=set)


class LocalEngine(Engine):
    """Keeps its processes from task to task, as importing torch takes seconds; replaces those that die.

    Parameters
    ----------
    options
    workers
        Processes; with GPUs, at most one for each.
    gpus
        Leased one to a process, for its lifetime.
    """

    def __init__(self, options: Options, workers: int, gpus: list[str]) -> None:
        self.options = options
        self._stop: Any = CONTEXT.Value("b", 0, lock=False)
        self._mark = new_mark()
        self._spawned = 0
        self._guard: Guard | None = None
        self._leases = [[gpu] for gpu in gpus][:workers] or [[] for _ in range(workers)]
        self._workers: list[_Worker] = []
        self._messages: list[Event | Outcome] = []

    def free(self) -> int:
        return len(self._leases) - sum(worker.task is not None for worker in self._workers)

    @defer_signals()
    def start(self, task: Task) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        worker = next((w for w in idle if task.plugin in w.used), None)
        if worker is None and len(self._workers) < len(self._leases):
            worker = self._spawn_worker()
        worker = worker or idle[0]
        worker.task, worker.began, worker.stage = task, time.monotonic(), "start"
        worker.used.add(task.plugin)
        try:
            worker.pipe.send(task)
        except OSError:
            worker.process.join(1)

    def wait(self, seconds: float) -> list[Event | Outcome]:
        with defer_signals():  # a signal that came meanwhile is raised below: messages are kept for `close`
            busy = [worker for worker in self._workers if worker.task is not None]
            wait([w.pipe for w in busy] + [w.process.sentinel for w in busy], self._patience(busy, seconds))
            for worker in busy:
                self._messages.extend(self._poll(worker))
                if worker.task is not None and not worker.process.is_alive():
                    self._messages.extend(self._poll(worker))
                    self._messages.extend(self._reap(worker))
                elif worker.task is not None and self._overdue(worker):
                    self._messages.append(self._end(worker))
        return self._take_messages()

    def _take_messages(self) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages

    @defer_signals()
    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        self._stop.value = 1
        messages = self._take_messages()
        until = time.monotonic() + grace
        while time.monotonic() < until and any(worker.task is not None for worker in self._workers):
            messages.extend(self.wait(0.1))
        for worker in self._workers:
            worker.pipe.close()
            if worker.task is not None:
                messages.append(self._outcome(worker, "stopped", "stopped before it could leave a checkpoint"))
        for worker in self._workers:
            worker.process.join(0.5 if worker.task is None else 0)
        if self._guard is not None:
            end_family([worker.process.pid for worker in self._workers], self._mark)
            self._guard.dismiss()
            self._guard = None
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()
        return messages

    def _spawn_worker(self) -> _Worker:
        taken = [worker.gpus for worker in self._workers]
        gpus = next(lease for lease in self._leases if taken.count(lease) < self._leases.count(lease))
        self._guard = self._guard or Guard(self._mark)
        self._spawned += 1
        mark = f"{self._mark}-{self._spawned}."
        ours, theirs = CONTEXT.Pipe()
        with inherited(gpus, self.options.threads):
            process = spawn(work, (theirs, self._stop, self.options), mark)
        self._guard.watch(process.pid)
        theirs.close()
        worker = _Worker(process, ours, gpus, mark)
        self._workers.append(worker)
        return worker

    def _poll(self, worker: _Worker) -> list[Event | Outcome]:
        messages: list[Event | Outcome] = []
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                messages.append(message)
                if isinstance(message, Outcome):
                    worker.task = None
                else:
                    worker.stage = message.stage
        except (EOFError, OSError):
            worker.process.join(1)
        return messages

    def _reap(self, worker: _Worker) -> list[Outcome]:
        self._remove(worker)
        if worker.task is None:
            return []
        if self._stop.value:
            return [self._outcome(worker, "stopped", "its process was ended while the run stopped")]
        return [self._outcome(worker, "crashed", f"its process {how_it_ended(worker.process)}")]

    def _remove(self, worker: _Worker) -> None:
        """End a worker, and all that it has started."""
        end_family([worker.process.pid], worker.mark)
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)

    def _overdue(self, worker: _Worker) -> bool:
        limit = self.options.time_limit
        return limit is not None and time.monotonic() - worker.began > limit

    def _end(self, worker: _Worker) -> Outcome:
        self._remove(worker)
        return self._outcome(worker, "timeout", f"ran out of time, {self.options.time_limit:g} s; see --time-limit")

    def _outcome(self, worker: _Worker, status: Any, error: str) -> Outcome:
        assert worker.task is not None
        return Outcome(worker.task.key, status, worker.stage, error, seconds=time.monotonic() - worker.began)

    def _patience(self, busy: list[_Worker], seconds: float) -> float:
        limit = self.options.time_limit
        if limit is None or not busy:
            return seconds
        return max(0.0, min(seconds, min(worker.began for worker in busy) + limit - time.monotonic() + 0.01))
