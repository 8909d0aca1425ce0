"""Training loops in processes of their own that take turns, so that noise hits all of them alike.

A loop calls `Turns` before each of its steps. It stops there until its process is given a turn of so many steps.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Turn:
    """What one step of a turn took on average.

    Attributes
    ----------
    wall : float
        Seconds.
    processor : float
        Seconds of all threads of the process, with what they did since the turn before, such as patches made ahead.
    """

    wall: float
    processor: float


class Turns:
    """The side of the loop: to be called before each step.

    Parameters
    ----------
    commands
        A line per turn: its number of steps. The process ends with them.
    answers
        Gets a line when a turn is over, and one when the first step is about to begin.
    """

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands, self._answers = commands, answers
        self._left = 0
        self._began, self._processor = time.perf_counter(), 0.0

    @classmethod
    def of_process(cls) -> Turns:
        """Use stdin and stdout of this process; what its libraries print is dropped from now on."""
        answers = os.fdopen(os.dup(1), "w")
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        return cls(os.fdopen(os.dup(0)), answers)

    def __call__(self) -> None:
        if not self._left:
            wall, used = time.perf_counter() - self._began, time.process_time()
            print(json.dumps([wall, used - self._processor]), file=self._answers, flush=True)
            self._processor = used
            command = self._commands.readline()
            if not command:
                os._exit(0)  # the library's threads end with it, whatever they are at
            self._left = int(command)
            self._began = time.perf_counter()
        self._left -= 1


class Loop:
    """A training loop in a process of its own, which calls `Turns` before each step.

    Parameters
    ----------
    command
    environment
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=dict(environment),
        )

    def wait(self) -> None:
        """Wait until the first step is about to begin; raise `RuntimeError` if it never does."""
        self._answer()

    def turn(self, steps: int) -> Turn:
        """Let it take so many steps; raise `RuntimeError` if its process ends."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            print(steps, file=self._process.stdin, flush=True)
        wall, processor = self._answer()
        return Turn(wall / steps, processor / steps)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def _answer(self) -> tuple[float, float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise RuntimeError("\n".join(["the training ended before its turn", *said[-8:]]))
        wall, processor = json.loads(line)
        return wall, processor


def alternate(
    commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]], *, warm: int, steps: int, rounds: int
) -> dict[str, list[Turn]]:
    """Run loops in turns, A B C A B C …, and return the turns of each.

    Parameters
    ----------
    commands
        Command and environment of each loop by name.
    warm
        Steps that each takes before it is measured.
    steps
        Of a turn.
    rounds
        Turns of each loop.
    """
    with contextlib.ExitStack() as open_loops:
        loops: dict[str, Loop] = {}
        for name, (command, environment) in commands.items():
            loops[name] = Loop(command, environment)
            open_loops.callback(loops[name].close)
            loops[name].wait()
            loops[name].turn(warm)
        found: dict[str, list[Turn]] = {name: [] for name in loops}
        for _ in range(rounds):
            for name, loop in loops.items():
                found[name].append(loop.turn(steps))
    return found
