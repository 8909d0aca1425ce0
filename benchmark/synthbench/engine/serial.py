"""Tasks one after the other in this process: for debugging, and for many trivial ones. Has no time limit.

Those of another environment run in a process of that environment's interpreter, also one after the other.
"""

from __future__ import annotations

from dataclasses import replace

from synthbench.engine.base import Engine, Event, Options, Outcome
from synthbench.engine.devices import inherited
from synthbench.engine.local import LocalEngine
from synthbench.engine.run_task import run_task
from synthbench.plugin.api import Config
from synthbench.study.plan import Task

__all__ = ["SerialEngine"]


class SerialEngine(Engine[Config]):
    """Runs a task within `start`, unless it is of another environment."""

    has_time_limit = False
    most_workers = 1

    def __init__(self, options: Options, config: Config) -> None:
        super().__init__(options, config)
        self._messages: list[Event | Outcome] = []
        self._elsewhere = LocalEngine(replace(options, workers=1, gpus=options.gpus[:1], time_limit=None), config)

    @property
    def slots(self) -> int:
        return 1

    def free(self) -> int:
        return 0 if self._messages else self._elsewhere.free()

    def start(self, task: Task) -> None:
        if task.environment:
            self._elsewhere.start(task)
            return
        with inherited(self.options.gpus[:1], self.options.threads):
            self._messages.append(run_task(task, self.options, self._messages.append))

    def wait(self, seconds: float) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages or self._elsewhere.wait(seconds)

    def close(self, grace: float = 0.0) -> list[Event | Outcome]:
        messages, self._messages = self._messages, []
        return messages + self._elsewhere.close(grace)
