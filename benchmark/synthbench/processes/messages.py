"""Messages between interpreters: JSON objects, a line each. Nothing is pickled.

The side that serves keeps its standard input and output for messages alone: whatever else reads or prints there, a
library or a child, gets nothing and disturbs nothing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["LONGEST", "MessageStream", "encode", "parse"]

LONGEST = 2**28
"""Bytes that a message may have."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line.

    Raises
    ------
    ValueError, TypeError
        If it isn't JSON.
    """
    return json.dumps(message, allow_nan=False).encode() + b"\n"


def parse(line: bytes | bytearray) -> dict[str, Any] | None:
    """Return the message of a line; None if the line isn't one."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


class MessageStream:
    """The serving side: takes over this process's standard input and output."""

    def __init__(self) -> None:
        self._input, self._output = os.dup(0), os.dup(1)
        with open(os.devnull, "r+b") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(nothing.fileno(), 1)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for as long as the process lives
        self._lock = threading.Lock()
        os.write(self._output, b"\n")  # ends a line that something else may have begun

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; several threads may.

        Raises
        ------
        OSError
            If the other side is gone.
        """
        line = memoryview(encode(message))
        with self._lock:
            while line:
                line = line[os.write(self._output, line) :]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the messages that come, until the other side closes; what isn't one is left out."""
        with os.fdopen(self._input, "rb") as lines:
            while line := lines.readline(LONGEST):
                if (message := parse(line)) is not None:
                    yield message
