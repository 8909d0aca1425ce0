"""Processes that lead a family: started with a mark, in a session of their own, and ended when their parent dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from synthbench.processes.family import marked
from synthbench.processes.signals import STOPS

__all__ = [
    "CONTEXT",
    "PATIENCE",
    "become_leader",
    "die_with_parent",
    "end_orphan",
    "how_it_ended",
    "spawn",
    "start_tracker",
]

PATIENCE = 1.0
"""Seconds that a guard gets to end an orphaned family before it ends itself."""

CONTEXT = multiprocessing.get_context("spawn")


def spawn(target: Callable[..., None], args: tuple[Any, ...], mark: str) -> Any:
    """Start a process that leads a family; `target` calls `become_leader` first.

    Until then it doesn't hear the signals that stop a command: they would end it with a traceback while it starts.
    """
    start_tracker()  # else it would be started below, and bear the family's mark
    process = CONTEXT.Process(target=target, args=args, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with marked(mark):
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def start_tracker() -> None:
    """Start the process in which Python keeps account of shared memory, so that a hang-up doesn't end it.

    Python itself has it ignore Ctrl-C and SIGTERM alone; without it, the others complain with tracebacks.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_leader(asked_to_stop: Callable[[], None] = lambda: None) -> None:
    """Make this process the leader of a session, which may have children.

    Ctrl-C is the parent's to handle. A scheduler may send the other signals to every process: they call
    `asked_to_stop`, and what the parent does is left to it.
    """
    with contextlib.suppress(OSError):
        os.setsid()
    multiprocessing.current_process().daemon = False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, lambda *_: asked_to_stop())
    _keep_from_forks(heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _keep_from_forks(numbers: list[signal.Signals]) -> None:
    """Let signals mean what they always mean in children that are forked, from their first moment on.

    Otherwise a pool that terminates its processes would wait for them forever.
    """

    def hold() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def reset() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=reset)


def die_with_parent() -> None:
    """End this process, and the session that it leads, when its parent dies."""
    threading.Thread(target=_attend, args=(multiprocessing.parent_process(),), daemon=True).start()


def _attend(parent: Any) -> None:
    while not wait([parent.sentinel], timeout=1.0) and os.getppid() == parent.pid:
        pass
    end_orphan()


def end_orphan() -> None:
    """End this process, and the session if it leads one, after the moment that a guard gets to do so."""
    if os.getsid(0) == os.getpid():
        time.sleep(PATIENCE)
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def how_it_ended(process: Any) -> str:
    """Return what a process that has been joined ended with, in words."""
    code = process.exitcode
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
