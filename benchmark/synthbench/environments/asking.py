"""Questions to the interpreter of another environment: what it offers, and what the keys of its tasks are made of.

The interpreter runs ``python -m synthbench.study._answers``. Questions and answers are JSON messages, a line each, and
nothing is pickled. What it prints goes nowhere, except that the last line of its errors explains why it ended.
"""

from __future__ import annotations

import re
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from synthbench import errors
from synthbench.environments.registered import Environment
from synthbench.environments.variables import interpreter_variables
from synthbench.errors import PluginError, SynthbenchError
from synthbench.plugin.distribution_sources import install_arguments
from synthbench.plugin.hookspecs import PROJECT
from synthbench.processes.family import end_family, new_mark
from synthbench.processes.handshake import hello_problem
from synthbench.processes.interpreter import Interpreter, wait_for

__all__ = ["SERVER", "Conversation"]

SERVER = "synthbench.study._answers"
"""The module that answers."""

FAREWELL = 1.0
"""Seconds that an interpreter has to end by itself when it isn't needed any more."""

_TICK = 0.5


class Conversation:
    """An interpreter of another environment that answers questions, until it is closed.

    Parameters
    ----------
    environment
    patience
        Seconds that an answer may take; by default any time.

    Raises
    ------
    PluginError
        If the interpreter can't be started.
    """

    def __init__(self, environment: Environment, patience: float | None = None) -> None:
        self.environment = environment
        self._patience, self._number, self._greeted = patience, 0, False
        self._mark = new_mark()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        try:
            self._interpreter = Interpreter(
                [environment.python, "-P", "-m", SERVER],
                interpreter_variables(environment.name),
                self._mark,
                errors=self._errors,
            )
        except OSError as error:
            self._errors.close()
            raise self._problem(f"{environment.python}: can't be started: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the interpreter, and all that it has started."""
        self._interpreter.dismiss(FAREWELL)
        end_family([self._interpreter.pid], self._mark, grace=0)
        self._interpreter.close()
        self._errors.close()

    def ask(self, question: str, progress: Callable[[int, int, str], None] = lambda *_: None, **arguments: Any) -> Any:
        """Return the answer to a question.

        Parameters
        ----------
        question
            Name of a function of `SERVER`.
        progress
            Called while the answer is worked out, with (done, total, note).
        **arguments
            Of that function, as JSON.

        Raises
        ------
        PluginError
            If the environment can't answer: it has no synthbench or another version of it, or its interpreter ended.
        SynthbenchError
            What the function raised, as an error of the same class.
        """
        self._number += 1
        self._interpreter.send(
            {"type": "question", "number": self._number, "question": question, "arguments": arguments}
        )
        deadline = None if self._patience is None else time.monotonic() + self._patience
        while True:
            ended = not self._interpreter.is_running()
            for message in self._interpreter.receive():
                if not self._greeted and (problem := hello_problem(message)):
                    raise self._problem(problem)
                self._greeted = True
                if message.get("number") != self._number:
                    continue
                if message["type"] == "progress":
                    progress(*message["progress"])
                elif message["type"] == "answer":
                    return message.get("value")
                elif message["type"] == "refusal":
                    raise _error(message)
            if ended:
                raise self._problem(self._why_it_ended())
            if deadline is not None and time.monotonic() > deadline:
                raise self._problem(f"{self.environment.python} didn't answer within {self._patience:g} s")
            wait_for([self._interpreter], _TICK)

    def _problem(self, text: str) -> PluginError:
        return PluginError(f"environment {self.environment.name!r}: {text}")

    def _why_it_ended(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")
        if re.search("unknown option:? -P", text, re.IGNORECASE):
            return f"{self.environment.python} is older than Python 3.11, which synthbench needs"
        lines = text.strip().splitlines()
        last = lines[-1].strip() if lines else f"its interpreter {self._interpreter.how_it_ended()}"
        if "No module named" in last:
            install = shlex.join(install_arguments(PROJECT))
            return f"it has no synthbench ({last}); {self.environment.python} -m pip install {install}"
        return last


def _error(message: Mapping[str, Any]) -> SynthbenchError:
    cls = getattr(errors, str(message.get("error")), PluginError)
    cls = cls if isinstance(cls, type) and issubclass(cls, SynthbenchError) else PluginError
    return cls(str(message.get("message")))
