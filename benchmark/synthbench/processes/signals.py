"""Signals that ask a command to stop: Ctrl-C, a scheduler's SIGTERM, and the hang-up of a terminal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupted", "STOPS", "defer_signals", "interruptible", "signal_number"]

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A command was asked to stop.

    Parameters
    ----------
    number
        The signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def signal_number(interrupt: KeyboardInterrupt) -> int:
    """Return the signal behind a KeyboardInterrupt; without more, it is Ctrl-C."""
    return interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP stop a command as Ctrl-C does. What is ignored stays so, as `nohup` wants it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPS}
    ours = [number for number in STOPS if before[number] is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Hold back the signals that stop a command until the block ends; then let one through.

    A handler that raises would else tear a message that is half read, or forget a process that has just begun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPS}
    ours = [number for number in STOPS if callable(before[number])]
    try:
        for number in ours:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
        if came:  # also where the block failed: what was asked of the command comes before that
            signal.raise_signal(came[0])
