"""When Ctrl-C may come through: never in the middle of a message between processes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold back Ctrl-C, and what a scheduler stops a run with, until the block ends; then let one through.

    A handler that raises would else tear a message that is half read, or forget a process that has just begun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        for number in NUMBERS:
            if before[number] is not None:
                signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
