"""An engine: starts a new process for each task, where the built-in one keeps its processes."""

from __future__ import annotations

import time
from typing import Any

from synthbench import Config
from synthbench.engine import Engine, Event, Options, Outcome, WorkerProcess, wait_for_workers


class FreshProcesses(Engine[Config]):
    """A new process for each task. It takes longer, as each imports its libraries anew."""

    has_time_limit = False

    def __init__(self, options: Options, config: Config) -> None:
        super().__init__(options, config)
        self._workers: list[WorkerProcess] = []

    def free(self) -> int:
        return self.slots - len(self._workers)

    def start(self, task: Any) -> None:
        worker = WorkerProcess(self.options, self.options.gpus[:1])
        self._workers.append(worker)
        worker.start(task)

    def wait(self, seconds: float) -> list[Event | Outcome]:
        wait_for_workers(self._workers, seconds)
        messages: list[Event | Outcome] = []
        for worker in list(self._workers):
            ended = not worker.is_running()
            messages.extend(worker.receive())
            if worker.task is not None and (ended or worker.problem):
                messages.append(worker.outcome("crashed", worker.problem or f"its process {worker.how_it_ended()}"))
                worker.task = None
            if worker.task is None:
                worker.end()
                self._workers.remove(worker)
        return messages

    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        for worker in self._workers:
            worker.stop()
        messages: list[Event | Outcome] = []
        until = time.monotonic() + grace
        while self._workers and time.monotonic() < until:
            messages.extend(self.wait(0.1))
        for worker in self._workers:
            messages.append(worker.outcome("stopped", "stopped before it could leave a checkpoint"))
            worker.end()
        self._workers.clear()
        return messages
