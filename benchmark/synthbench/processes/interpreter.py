"""An interpreter that exchanges JSON messages with this process, a line each, by its standard input and output.

No object is pickled, so the other side may be another environment with other versions of everything.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from synthbench.processes.family import MARK
from synthbench.processes.messages import LONGEST, encode, parse
from synthbench.processes.signals import STOPS

__all__ = ["Interpreter", "wait_for"]


class Interpreter:
    """A process that leads a family (see `synthbench.processes.family`) and answers by messages.

    Parameters
    ----------
    command
        What starts it.
    environment
        Its environment variables.
    mark
        Of its family.
    errors
        A file that its standard error goes to; by default where this process's goes.

    Raises
    ------
    OSError
        If it can't be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], mark: str, errors: IO[bytes] | None = None
    ) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until it is ready for them, they would end it
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environment, MARK: mark},
                start_new_session=True,
                bufsize=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)
        self._outgoing, self._incoming = bytearray(), bytearray()
        self._handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def handles(self) -> dict[int, int]:
        """File descriptors and the events of `select.poll` by which it tells that it needs attention."""
        handles = {self._output.fileno(): select.POLLIN}
        if self._handle is not None:
            handles[self._handle] = select.POLLIN
        if self._outgoing:
            handles[self._input.fileno()] = select.POLLOUT
        return handles

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def is_running(self) -> bool:
        """Whether it hasn't ended."""
        return self._process.poll() is None

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; what the pipe doesn't take at once goes with the next `receive`."""
        self._outgoing += encode(message)
        self._flush()

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come since the last call; doesn't wait. What isn't a message is left out."""
        self._flush()
        with contextlib.suppress(BlockingIOError, OSError, ValueError):
            while read := os.read(self._output.fileno(), 2**16):
                self._incoming += read
                if len(self._incoming) > LONGEST:
                    self._process.kill()
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = bytearray(rest)
        return [message for line in lines if (message := parse(line)) is not None]

    def dismiss(self, patience: float) -> None:
        """Close its standard input, upon which it ends, and wait for that at most this long."""
        with contextlib.suppress(OSError):
            self._input.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)

    def close(self) -> None:
        """Let go of a process that has been ended."""
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):
                pipe.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def how_it_ended(self) -> str:
        """Return what it ended with, in words."""
        code = self._process.wait()
        if code >= 0:
            return f"ended with exit code {code}"
        memory = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
        return f"was killed by signal {-code}{memory}"

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError, ValueError):
            while self._outgoing:
                del self._outgoing[: os.write(self._input.fileno(), self._outgoing)]


def wait_for(interpreters: Iterable[Interpreter], seconds: float) -> None:
    """Wait until one of them has something to say, takes more of a message, or has ended; at most this long."""
    poll = select.poll()
    for interpreter in interpreters:
        for handle, events in interpreter.handles.items():
            poll.register(handle, events)
    poll.poll(max(0.0, seconds if hasattr(os, "pidfd_open") else min(seconds, BLIND)) * 1000)


BLIND = 0.2
"""Seconds after which a process is looked at where the system doesn't say that it has ended."""
