"""Tasks one after the other in this process: for debugging, and for many trivial ones. Has no time limit."""

from __future__ import annotations

from synthbench.engine.base import Engine, Event, Options, Outcome
from synthbench.engine.devices import inherited
from synthbench.engine.run_task import run_task
from synthbench.study.plan import Task

__all__ = ["SerialEngine"]


class SerialEngine(Engine):
    """Runs a task within `start`."""

    def __init__(self, options: Options, gpus: list[str]) -> None:
        self.options = options
        self._messages: list[Event | Outcome] = []
        self._gpus = gpus[:1]

    def free(self) -> int:
        return 0 if self._messages else 1

    def start(self, task: Task) -> None:
        with inherited(self._gpus, self.options.threads):
            self._messages.append(run_task(task, self.options, self._messages.append))

    def wait(self, seconds: float) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages

    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        return self.wait(0)
