"""A worker as whoever started it sees it: an interpreter, and the task that it is given."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthbench.engine.base import Event, Options, Outcome, Status
from synthbench.engine.devices import worker_environment
from synthbench.engine.messages import STOP, read_answer, task_message
from synthbench.environments.variables import interpreter_variables
from synthbench.errors import ConfigError
from synthbench.processes.family import end_family, new_mark
from synthbench.processes.handshake import hello_problem
from synthbench.processes.interpreter import Interpreter, wait_for
from synthbench.study.plan import Task

__all__ = ["WorkerProcess", "wait_for_workers"]


class WorkerProcess:
    """A process that runs tasks, one at a time.

    Parameters
    ----------
    options
    gpus
        Leased to it for its lifetime.
    mark
        Of the family that it leads; by default a new one.
    environment
        Name of the environment whose interpreter it is (see `Options.interpreters`); by default this one's.

    Attributes
    ----------
    interpreter : Interpreter
    environment : str
    task : Task or None
        What it is running.
    began : float
        When that began, by `time.monotonic`.
    used : set of str
        Plugins that it has run tasks of, and so has imported.
    problem : str
        Why it can't be used: it is of another version. Empty if it can.

    Raises
    ------
    ConfigError
        If it can't be started.
    """

    def __init__(self, options: Options, gpus: Sequence[str], mark: str = "", environment: str = "") -> None:
        self.options, self.gpus, self.mark, self.environment = options, list(gpus), mark or new_mark(), environment
        python = options.interpreters.get(environment) if environment else sys.executable
        if python is None:
            raise ConfigError(f"environment {environment!r}: unknown; 'synthbench env list' shows the known ones")
        variables = {**interpreter_variables(environment), **worker_environment(gpus, options.threads)}
        try:
            self.interpreter = Interpreter([python, "-P", "-m", "synthbench.engine.worker"], variables, self.mark)
        except OSError as error:
            raise ConfigError(f"{python}: can't be started: {error.strerror or error}") from None
        self.task: Task | None = None
        self.began = 0.0
        self.used: set[str] = set()
        self.problem = ""
        self._key = self._stage = ""
        self._greeted = False

    def start(self, task: Task) -> None:
        """Begin a task."""
        self.task, self.began, self._key, self._stage = task, time.monotonic(), task.key, "start"
        self.used.add(task.plugin)
        self.interpreter.send(task_message(task, self.options))

    def stop(self) -> None:
        """Ask the running task to stop."""
        if self.task is not None:
            self.interpreter.send(STOP)

    def receive(self) -> list[Event | Outcome]:
        """Return what the task has reported since the last call; after its outcome, `task` is None."""
        answers: list[Event | Outcome] = []
        for message in self.interpreter.receive():
            if not self._greeted:
                self.problem, self._greeted = self._problem_of(message), True
            answer = read_answer(message)
            if self.task is None or answer is None or answer.key != self.task.key:
                continue
            answers.append(answer)
            if isinstance(answer, Outcome):
                self.task = None
            else:
                self._stage = answer.stage
        return answers

    def _problem_of(self, hello: Mapping[str, Any]) -> str:
        problem = hello_problem(hello)
        return f"environment {self.environment!r}: {problem}" if problem and self.environment else problem

    def is_running(self) -> bool:
        """Whether its process hasn't ended."""
        return self.interpreter.is_running()

    def how_it_ended(self) -> str:
        """Return what its process ended with, in words."""
        return self.interpreter.how_it_ended()

    def end(self) -> None:
        """End its process, and all that it has started."""
        end_family([self.interpreter.pid], self.mark)
        self.interpreter.close()

    def outcome(self, status: Status, error: str) -> Outcome:
        """Return how its last task ended, as seen from here."""
        return Outcome(self._key, status, self._stage, error, seconds=time.monotonic() - self.began)


def wait_for_workers(workers: Iterable[WorkerProcess], seconds: float) -> None:
    """Wait until one of them has something to say, or its process has ended; at most this long."""
    wait_for([worker.interpreter for worker in workers], seconds)
