"""Processes on this machine: one task each, a time limit, a GPU of its own. A process that dies loses its task only."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from synthbench.engine.base import Engine, Event, Options, Outcome
from synthbench.engine.devices import inherited
from synthbench.engine.interrupts import held
from synthbench.engine.worker import work
from synthbench.plan import Task


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    gpus: list[str]
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
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.Value("b", 0, lock=False)
        self._leases = [[gpu] for gpu in gpus][:workers] or [[] for _ in range(workers)]
        self._workers: list[_Worker] = []

    def free(self) -> int:
        return len(self._leases) - sum(worker.task is not None for worker in self._workers)

    @held()
    def start(self, task: Task) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        worker = next((w for w in idle if task.plugin in w.used), None)
        if worker is None and len(self._workers) < len(self._leases):
            worker = self._hire()
        worker = worker or idle[0]
        worker.task, worker.began, worker.stage = task, time.monotonic(), "start"
        worker.used.add(task.plugin)
        try:
            worker.pipe.send(task)
        except OSError:
            worker.process.join(1)

    @held()
    def wait(self, seconds: float) -> list[Event | Outcome]:
        busy = [worker for worker in self._workers if worker.task is not None]
        wait([w.pipe for w in busy] + [w.process.sentinel for w in busy], self._patience(busy, seconds))
        heard: list[Event | Outcome] = []
        for worker in busy:
            heard.extend(self._hear(worker))
            if worker.task is not None and not worker.process.is_alive():
                heard.extend(self._hear(worker))
                heard.extend(self._bury(worker))
            elif worker.task is not None and self._overdue(worker):
                heard.append(self._end(worker))
        return heard

    @held()
    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        self._stop.value = 1
        heard: list[Event | Outcome] = []
        until = time.monotonic() + grace
        while time.monotonic() < until and any(worker.task is not None for worker in self._workers):
            heard.extend(self.wait(0.1))
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(0.5 if worker.task is None else 0)
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
        self._workers.clear()
        return heard

    def _hire(self) -> _Worker:
        taken = [worker.gpus for worker in self._workers]
        gpus = next(lease for lease in self._leases if taken.count(lease) < self._leases.count(lease))
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(theirs, self._stop, self.options), daemon=True)
        with inherited(gpus, self.options.threads):
            process.start()
        theirs.close()
        worker = _Worker(process, ours, gpus)
        self._workers.append(worker)
        return worker

    def _hear(self, worker: _Worker) -> list[Event | Outcome]:
        heard: list[Event | Outcome] = []
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                heard.append(message)
                if isinstance(message, Outcome):
                    worker.task = None
                else:
                    worker.stage = message.stage
        except (EOFError, OSError):
            worker.process.join(1)
        return heard

    def _bury(self, worker: _Worker) -> list[Outcome]:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        if worker.task is None:
            return []
        code = worker.process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        return [
            self._outcome(worker, "crashed", f"its process was {how}" if code and code < 0 else f"its process {how}")
        ]

    def _overdue(self, worker: _Worker) -> bool:
        limit = self.options.time_limit
        return limit is not None and time.monotonic() - worker.began > limit

    def _end(self, worker: _Worker) -> Outcome:
        worker.process.kill()
        worker.process.join()
        self._workers.remove(worker)
        worker.pipe.close()
        return self._outcome(worker, "timeout", f"ran out of time, {self.options.time_limit:g} s; see --time-limit")

    def _outcome(self, worker: _Worker, status: Any, error: str) -> Outcome:
        assert worker.task is not None
        return Outcome(worker.task.key, status, worker.stage, error, seconds=time.monotonic() - worker.began)

    def _patience(self, busy: list[_Worker], seconds: float) -> float:
        limit = self.options.time_limit
        if limit is None or not busy:
            return seconds
        return max(0.0, min(seconds, min(worker.began for worker in busy) + limit - time.monotonic() + 0.01))
