"""A process and all that it started, found and ended.

A process that is started for a task leads a session of its own and has a mark in its environment, which everything that
it starts inherits. So it can be ended whole, also what has left the family's tree by forking twice, or opened a session
of its own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Iterator

import psutil

__all__ = ["GRACE", "MARK", "NEWBORN", "ROUNDS", "end_family", "family_members", "marked", "new_mark"]

MARK = "SYNTHBENCH_FAMILY"
"""Name of the environment variable."""

GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL."""

NEWBORN = 0.05
"""Seconds after which a family is looked for again before it counts as ended: a process shows no mark while it is being
started."""

ROUNDS = 20
"""How often a family is looked for that goes on forking while it is ended."""


def family_members(leaders: Iterable[int], mark: str) -> list[psutil.Process]:
    """Return the living processes of families, but not this one.

    Parameters
    ----------
    leaders
        Process ids of those that lead a session for a task; they may have died.
    mark
        The beginning of the families' mark.
    """
    kept, me = set(leaders), os.getpid()
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid != me and (process.pid in kept or _in_session(process.pid, kept) or _has_mark(process, mark)):
            found[process.pid] = process
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            found.update((child.pid, child) for child in process.children(recursive=True) if child.pid != me)
    return [process for process in found.values() if _is_alive(process)]


def end_family(leaders: Iterable[int], mark: str, grace: float = GRACE) -> None:
    """End families whole: SIGTERM, then, after `grace` seconds, SIGKILL until none of them is left."""
    kept = list(leaders)
    found = family_members(kept, mark)
    if grace and found:
        _signal(found, "terminate")
        _await(found, grace)
    empty = False
    for _ in range(ROUNDS):
        found = family_members(kept, mark)
        if not found and empty:
            return
        empty = not found
        _signal(found, "kill")
        if found:
            _await(found, 0.2)
        else:
            time.sleep(NEWBORN)


@contextlib.contextmanager
def marked(mark: str) -> Iterator[None]:
    """Within, a process that is started inherits the mark."""
    before = os.environ.get(MARK)
    os.environ[MARK] = mark
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before


def new_mark() -> str:
    """Return a mark that no other family has; it begins with the one of the family that this process is in, if any."""
    return f"{os.environ.get(MARK, '')}{os.getpid()}-{time.time_ns()}"


def _in_session(pid: int, leaders: set[int]) -> bool:
    for ask in (os.getsid, os.getpgid):
        with contextlib.suppress(OSError):
            if ask(pid) in leaders:
                return True
    return False


def _has_mark(process: psutil.Process, mark: str) -> bool:
    """True if a process has a mark that begins so; where the system doesn't show its environment, it has none."""
    try:
        return str(process.environ().get(MARK, "")).startswith(mark)
    except (psutil.Error, OSError, ValueError, SystemError):
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _await(processes: Collection[psutil.Process], seconds: float) -> None:
    """Wait until processes have ended; their exit codes are left to whoever started them, unlike by psutil's wait."""
    deadline = time.monotonic() + seconds
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _signal(processes: Iterable[psutil.Process], how: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            getattr(process, how)()
