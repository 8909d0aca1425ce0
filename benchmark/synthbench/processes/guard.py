"""A guard that outlives a killed process, and ends the families that it had started.

It is a process that waits at a pipe whose other end only its owner holds. However the owner dies, the pipe closes, and
the guard ends what the owner had started; a hanging extension or a stopped interpreter can't hinder it, as they could a
thread. This needs nothing that only Linux has.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO

from synthbench.processes.family import end_family
from synthbench.processes.signals import STOPS

__all__ = ["Guard", "stand"]


class Guard:
    """Ends families when this process dies.

    Parameters
    ----------
    mark
        The beginning of the families' mark.
    """

    def __init__(self, mark: str) -> None:
        command = [sys.executable, "-P", "-m", __name__, mark]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """Tell it of a process that leads a family."""
        self._say(str(pid))

    def dismiss(self) -> None:
        """Send it home: nothing is left to be ended."""
        self._say("done")
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._process.wait()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _say(self, word: str) -> None:
        with contextlib.suppress(OSError):
            self._pipe.write(f"{word}\n".encode())
            self._pipe.flush()


def stand(mark: str, pipe: IO[bytes]) -> None:
    """Wait until the pipe closes, then end the families, unless the owner said that it is done."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    words = [line.decode().strip() for line in pipe]
    if "done" not in words:
        end_family({int(word) for word in words if word.isdigit()} - {os.getpid()}, mark, grace=0)


if __name__ == "__main__":
    stand(sys.argv[1], sys.stdin.buffer)
