"""Processes on this machine: one task each, a time limit, a GPU of its own. A process that dies loses its task only.

A task of another environment runs in a process of that environment's interpreter.

Each leads a family of what its tasks start, and is ended with all of it. A guard does so when this process is killed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from synthbench.engine.base import Engine, Event, Options, Outcome, Status
from synthbench.engine.worker_process import WorkerProcess, wait_for_workers
from synthbench.errors import ConfigError
from synthbench.plugin.api import Config
from synthbench.processes.family import end_family, new_mark
from synthbench.processes.guard import Guard
from synthbench.processes.signals import defer_signals
from synthbench.study.plan import Task

__all__ = ["DISMISSAL", "LocalEngine"]

DISMISSAL = 0.5
"""Seconds that an idle process has to end by itself."""


class LocalEngine(Engine[Config]):
    """Keeps its processes from task to task, as importing torch takes seconds; replaces those that die.

    A GPU is leased to a process for its lifetime, so that with GPUs there is at most one process for each.
    """

    def __init__(self, options: Options, config: Config) -> None:
        super().__init__(options, config)
        self._mark = new_mark()
        self._spawned = 0
        self._guard: Guard | None = None
        self._leases = [[gpu] for gpu in options.gpus][: options.workers] or [[] for _ in range(options.workers)]
        self._workers: list[WorkerProcess] = []
        self._messages: list[Event | Outcome] = []
        self._stopping = False

    @property
    def slots(self) -> int:
        return len(self._leases)

    def free(self) -> int:
        return len(self._leases) - sum(worker.task is not None for worker in self._workers)

    @defer_signals()
    def start(self, task: Task) -> None:
        try:
            self._worker_for(task).start(task)
        except ConfigError as error:
            self._messages.append(Outcome(task.key, "failed", "start", str(error)))

    def _worker_for(self, task: Task) -> WorkerProcess:
        """Return an idle process of the task's environment: best one that has imported its plugin, or a new one.

        Where all places are taken, an idle process of another environment makes room.
        """
        for worker in [worker for worker in self._workers if worker.task is None and not worker.is_running()]:
            self._remove(worker)
        idle = [worker for worker in self._workers if worker.task is None]
        fitting = [worker for worker in idle if worker.environment == task.environment]
        known = next((worker for worker in fitting if task.plugin in worker.used), None)
        if known is not None:
            return known
        if len(self._workers) < len(self._leases):
            return self._spawn_worker(task.environment)
        if fitting:
            return fitting[0]
        idle[0].interpreter.dismiss(DISMISSAL)
        self._remove(idle[0])
        return self._spawn_worker(task.environment)

    def wait(self, seconds: float) -> list[Event | Outcome]:
        with defer_signals():  # a signal that came meanwhile is raised below: messages are kept for `close`
            busy = [worker for worker in self._workers if worker.task is not None]
            wait_for_workers(busy, self._patience(busy, 0.0 if self._messages else seconds))
            for worker in busy:
                gone = not worker.is_running()
                self._messages.extend(worker.receive())
                if worker.task is not None and (gone or worker.problem):
                    self._messages.append(self._reap(worker))
                elif gone:
                    self._remove(worker)
                elif worker.task is not None and self._overdue(worker):
                    limit = f"ran out of time, {self.options.time_limit:g} s; see --time-limit"
                    self._messages.append(self._end(worker, "timeout", limit))
        return self._take_messages()

    def _take_messages(self) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages

    @defer_signals()
    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        self._stopping = True
        messages = self._take_messages()
        for worker in self._workers:
            worker.stop()
        until = time.monotonic() + grace
        while time.monotonic() < until and any(worker.task is not None for worker in self._workers):
            messages.extend(self.wait(0.1))
        for worker in self._workers:
            if worker.task is not None:
                messages.append(worker.outcome("stopped", "stopped before it could leave a checkpoint"))
        for worker in self._workers:
            worker.interpreter.dismiss(0)
        for worker in self._workers:
            if worker.task is None:
                worker.interpreter.dismiss(DISMISSAL)
        if self._guard is not None:
            end_family([worker.interpreter.pid for worker in self._workers], self._mark)
            self._guard.dismiss()
            self._guard = None
        for worker in self._workers:
            worker.interpreter.close()
        self._workers.clear()
        return messages

    def _spawn_worker(self, environment: str) -> WorkerProcess:
        taken = [worker.gpus for worker in self._workers]
        gpus = next(lease for lease in self._leases if taken.count(lease) < self._leases.count(lease))
        self._guard = self._guard or Guard(self._mark)
        self._spawned += 1
        worker = WorkerProcess(self.options, gpus, f"{self._mark}-{self._spawned}.", environment)
        self._guard.watch(worker.interpreter.pid)
        self._workers.append(worker)
        return worker

    def _reap(self, worker: WorkerProcess) -> Outcome:
        """Remove a worker whose process is of no use any more, and say how its task ended."""
        if worker.problem:
            return self._end(worker, "failed", worker.problem)
        self._remove(worker)
        if self._stopping:
            return worker.outcome("stopped", "its process was ended while the run stopped")
        return worker.outcome("crashed", f"its process {worker.how_it_ended()}")

    def _end(self, worker: WorkerProcess, status: Status, error: str) -> Outcome:
        self._remove(worker)
        return worker.outcome(status, error)

    def _remove(self, worker: WorkerProcess) -> None:
        """End a worker, and all that it has started."""
        worker.end()
        self._workers.remove(worker)

    def _overdue(self, worker: WorkerProcess) -> bool:
        limit = self.options.time_limit
        return limit is not None and time.monotonic() - worker.began > limit

    def _patience(self, busy: Iterable[WorkerProcess], seconds: float) -> float:
        limit = self.options.time_limit
        began = min((worker.began for worker in busy), default=None)
        if limit is None or began is None:
            return seconds
        return max(0.0, min(seconds, began + limit - time.monotonic() + 0.01))
