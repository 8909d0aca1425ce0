"""Who computes which artifact: claims, which end with the process that holds them.

A claim is a file with the holder's name and a beat that it renews. Where the file system has working locks, the holder
also holds one, so that others see at once when it dies. Elsewhere its claim is a lease: it ends when nobody has seen
the beat change for a while. Whoever looks measures that by its own clock, so clocks needn't agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from filelock import FileLock, Timeout

from synthbench.errors import ConfigError
from synthbench.store._disk import disk_errors
from synthbench.store._file_systems import has_working_locks

BEATS_PER_LEASE = 6
DEFAULT_LEASE = 60.0
"""Seconds without a beat after which a lease has ended."""

_WIDTH = 20


@dataclass(frozen=True)
class Holder:
    """Who holds a claim.

    Attributes
    ----------
    host : str
    pid : int
    since : float
        Seconds since the epoch, by the holder's clock.
    """

    host: str
    pid: int
    since: float


@dataclass(frozen=True)
class Sighting:
    """A claim as it looks from outside.

    Attributes
    ----------
    holder : Holder
    alive : bool
        Whether its holder still runs: on this machine, whether that process is there; on others, whether it has given
        a sign of life lately.
    silent : float
        Seconds since its last sign of life, by the file's time of change.
    """

    holder: Holder
    alive: bool
    silent: float


class Claim:
    """A claim that this process holds; a context manager that gives it back.

    Attributes
    ----------
    lost : bool
        Whether another process has taken it over, because this one gave no sign of life for too long.
    """

    def __init__(self, path: Path, token: str, lock: FileLock | None, lease: float) -> None:
        self._path, self._token, self._lock, self._lease = path, token, lock, lease
        self._ended = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._beat, name="synthbench-claim", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Give the claim back."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if _read(self._path, self._token) is not None:
                self._path.unlink()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        number, last = 0, time.monotonic()
        while not self._ended.wait(self._lease / BEATS_PER_LEASE):
            number += 1
            try:
                renewed = _renew(self._path, self._token, number)
            except OSError:
                self.lost = time.monotonic() - last > self._lease
                continue
            last = time.monotonic()
            self.lost = not renewed


class Claims:
    """The claims of a store.

    Parameters
    ----------
    folder
        Where their files are.

    Raises
    ------
    ConfigError
        If ``SYNTHBENCH_LOCKS`` or ``SYNTHBENCH_LEASE`` is set to what isn't one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[str, str, float]] = {}
        self._lease = _lease_seconds()
        self._wanted = _wanted_locks()

    @property
    def with_locks(self) -> bool:
        """Whether claims are held by locks of the file system, which end with their process."""
        return has_working_locks(self._folder) if self._wanted is None else self._wanted

    def take(self, name: str) -> Claim | None:
        """Take a claim, or return None if another process holds it; doesn't wait.

        Raises
        ------
        StoreError
            If the file system refuses.
        """
        path, lock = self._path(name), None
        with disk_errors(path):
            if self.with_locks:
                lock = FileLock(self._folder / name, thread_local=False)
                if not _locked(lock):
                    return None
            with contextlib.ExitStack() as undo:
                if lock is not None:
                    undo.callback(lock.release)
                if not self._ended(name, lock is not None):
                    return None
                token = uuid.uuid4().hex
                if not _create(path, token, lock is not None, self._lease):
                    return None
                undo.pop_all()
            return Claim(path, token, lock, self._lease)

    def holder(self, name: str) -> Holder | None:
        """Return who holds a claim, or None if it can be taken.

        A lease without a beat is found to have ended only by who asks again and again.
        """
        claim = _read(self._path(name))
        if claim is None or self._ended(name, None):
            return None
        content = claim[0]
        return Holder(str(content["host"]), int(content["pid"]), float(content["since"]))

    def look(self, name: str) -> Sighting | None:
        """Return what a claim looks like, or None if there is none; touches neither its file nor its lock."""
        path = self._path(name)
        claim = _read(path)
        try:
            silent = max(0.0, time.time() - path.stat().st_mtime)
        except OSError:
            return None
        if claim is None:
            return None
        content = claim[0]
        holder = Holder(str(content["host"]), int(content["pid"]), float(content["since"]))
        alive = not _is_dead(content) if _is_here(content) else silent <= float(content["lease"])
        return Sighting(holder, alive, silent)

    def wait(self, name: str, should_stop: Callable[[], bool], poll: float) -> Claim | None:
        """Take a claim as soon as it can be had; return None if `should_stop` turned true meanwhile."""
        while (claim := self.take(name)) is None:
            if should_stop():
                return None
            self.holder(name)
            time.sleep(poll)
        return claim

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.claim"

    def _ended(self, name: str, locked: bool | None) -> bool:
        """Whether nobody holds a claim; what a dead process left of it is removed.

        Parameters
        ----------
        name
        locked
            Whether this process holds the lock; None: it is tried.
        """
        path = self._path(name)
        claim = _read(path)
        if claim is None:
            return True
        content, beat = claim
        if content["locks"] and self.with_locks:
            return locked if locked is not None else _can_lock(self._folder / name)
        if _is_dead(content):
            return _break(path, content, beat)
        token, last, since = self._seen.get(name, ("", "", 0.0))
        now = time.monotonic()
        if (token, last) != (content["token"], beat):
            self._seen[name] = (content["token"], beat, now)
            return False
        if now - since <= float(content["lease"]):
            return False
        del self._seen[name]
        return _break(path, content, beat)


def _locked(lock: FileLock) -> bool:
    """Try to get a lock, for the moment in which somebody may only be looking whether it is held."""
    try:
        lock.acquire(timeout=0.05, poll_interval=0.01)
    except Timeout:
        return False
    return True


def _can_lock(path: Path) -> bool:
    lock = FileLock(path, thread_local=False)
    got = _locked(lock)
    if got:
        lock.release()
    return got


def _create(path: Path, token: str, locks: bool, lease: float) -> bool:
    """Write a claim's file; with a lock one that is there is replaced, without it the claim is another's."""
    content = {"token": token, "pid": os.getpid(), "since": time.time(), "locks": locks, "lease": lease, **_here()}
    beside = path.with_name(f"{path.name}.{token}")
    with beside.open("xb") as file:
        file.write(f"{json.dumps(content)}\n{0:0{_WIDTH}d}\n".encode())
    try:
        if locks:
            os.replace(beside, path)
        else:
            os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True


def _read(path: Path, token: str = "") -> tuple[dict[str, Any], str] | None:
    """Return the content and the beat of a claim's file; None if there is none, or it has another token."""
    try:
        first, beat, *_ = path.read_text(encoding="utf-8").split("\n")
        content = json.loads(first)
        complete = content.keys() >= {"token", "pid", "since", "locks", "lease", *_here()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        complete, content, beat = False, {}, ""
    if not complete:  # damaged: it ends as a lease does
        content = {
            "token": "",
            "pid": 0,
            "since": 0.0,
            "locks": False,
            "lease": DEFAULT_LEASE,
            "host": "?",
            "boot": "",
            "pids": "",
        }
    return (content, beat) if token in ("", content["token"]) else None


def _renew(path: Path, token: str, number: int) -> bool:
    """Write a beat into a claim's file, unless it is another's by now; return whether it was still this one."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        first = os.read(descriptor, 2**16).split(b"\n")[0]
        if token.encode() not in first:
            return False
        os.pwrite(descriptor, f"{number:0{_WIDTH}d}\n".encode(), len(first) + 1)
    finally:
        os.close(descriptor)
    return True


def _break(path: Path, content: dict[str, Any], beat: str) -> bool:
    """Remove the claim of a holder that is gone, unless it has changed meanwhile; return whether it is removed."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    removed = _read(aside) == (content, beat)
    if not removed:
        with contextlib.suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return removed


@cache
def _here() -> dict[str, str]:
    """Return what tells this machine, since its last start, and the container that this is, from all others."""
    boot = pids = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        pids = os.readlink("/proc/self/ns/pid")
    return {"host": socket.gethostname(), "boot": boot, "pids": pids}


def _is_here(content: dict[str, Any]) -> bool:
    """Whether the holder is, or was, a process of this machine since its last start, and of this container."""
    return bool(content["boot"]) and all(content[name] == value for name, value in _here().items())


def _is_dead(content: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine that is no more."""
    if not _is_here(content):
        return False
    try:
        return bool(psutil.Process(content["pid"]).create_time() > content["since"] + 1)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _wanted_locks() -> bool | None:
    value = os.environ.get("SYNTHBENCH_LOCKS", "auto")
    if value not in ("auto", "system", "lease"):
        raise ConfigError(f"SYNTHBENCH_LOCKS={value}: give auto, system or lease")
    return {"auto": None, "system": True, "lease": False}[value]


def _lease_seconds() -> float:
    value = os.environ.get("SYNTHBENCH_LEASE", str(DEFAULT_LEASE))
    with contextlib.suppress(ValueError):
        if 0 < float(value) < float("inf"):
            return float(value)
    raise ConfigError(f"SYNTHBENCH_LEASE={value}: give seconds above 0")
