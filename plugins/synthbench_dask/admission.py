"""Which workers a run works on: each is looked at before its first task, also one that joins later."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar

from distributed import Client

from synthbench.engine import Options
from synthbench.engine.peers import Probe, peer_versions
from synthbench_dask.on_worker import admit, leave, stop

__all__ = ["Admission", "Member"]

Result = TypeVar("Result")

LOOK_EVERY = 1.0
AGAIN_AFTER = 20.0
"""Seconds after which also those that are known are looked at: one may have been replaced at the same address."""


@dataclass(frozen=True)
class Member:
    """A worker that was looked at.

    Attributes
    ----------
    address, host : str
    problem : str
        Why it isn't let in; empty if it is.
    slots, gpus : int
        Tasks of the run that it takes at a time, and GPUs that it offers.
    memory_mb : int
        Its limit of memory in MiB.
    """

    address: str
    host: str
    problem: str
    slots: int
    gpus: int
    memory_mb: int


class Admission:
    """Looks at workers, in threads of its own, so that one that hangs doesn't hold up the run, or its end.

    Parameters
    ----------
    client
    run
        Name of the run.
    probe
    options

    Attributes
    ----------
    processing : frozenset of str or None
        What workers had, by Dask's keys, when they were last looked at; None before that, and once it has been used.
    """

    def __init__(self, client: Client, run: str, probe: Probe, options: Options) -> None:
        self._client, self._run = client, run
        request = {
            "run": run,
            "probe": str(probe.path),
            "token": probe.token,
            "versions": peer_versions(),
            "options": asdict(replace(options, facts={}, gpus=())),
        }
        self._request = json.dumps(request)
        self._members: dict[str, Member] = {}
        self.processing: frozenset[str] | None = None
        self._looking: Future[tuple[list[Member], frozenset[str]]] | None = None
        self._has_looked = False
        self._next_look = 0.0
        self._look_at_all = 0.0

    @property
    def members(self) -> list[Member]:
        """Those that are there and let in."""
        return [member for member in self._members.values() if not member.problem]

    @property
    def refused(self) -> list[Member]:
        """Those that are there and not let in."""
        return [member for member in self._members.values() if member.problem]

    def look(self) -> list[Member]:
        """Begin to look at the workers, if it is time to; return those that turned out to be new."""
        if self._looking is None:
            if time.monotonic() >= self._next_look:
                self._looking = _in_thread(self._ask)
            return []
        if not self._looking.done():
            return []
        looked, self._looking = self._looking, None
        self._next_look, self._has_looked = time.monotonic() + LOOK_EVERY, True
        if looked.exception() is not None:  # the scheduler is away: the run finds out itself
            return []
        members, self.processing = looked.result()
        before, self._members = self._members, {member.address: member for member in members}
        return [
            m for address, m in self._members.items() if address not in before or before[address].problem != m.problem
        ]

    def wait(self, count: int, seconds: float) -> list[Member]:
        """Look at the workers until that many are there, at most this long; return what they say."""
        new: list[Member] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (not self._has_looked or len(self._members) < count):
            self._next_look = min(self._next_look, time.monotonic() + 0.1)
            new += self.look()
            time.sleep(0.02)
        return new

    def stop(self, seconds: float) -> None:
        """Ask all tasks of the run to stop."""
        self._tell(stop, seconds)

    def leave(self, seconds: float) -> None:
        """Have all workers forget the run."""
        self._tell(leave, seconds)

    def _tell(self, what: Any, seconds: float) -> None:
        addresses = [member.address for member in self.members]
        if addresses:
            ask = partial(self._client.run, what, self._run, workers=addresses, on_error="ignore")
            wait([_in_thread(ask)], timeout=seconds)

    def _ask(self) -> tuple[list[Member], frozenset[str]]:
        present = list(self._client.nthreads())
        known = {} if time.monotonic() >= self._look_at_all else dict(self._members)
        if not known:
            self._look_at_all = time.monotonic() + AGAIN_AFTER
        new = [address for address in present if address not in known]
        answers = {}
        if new:
            answers = self._client.run(admit, self._request, workers=new, on_error="return")
        members = [known[address] for address in present if address in known]
        members += [_member(address, answer) for address, answer in answers.items()]
        processing = frozenset(str(key) for keys in self._client.processing().values() for key in keys)
        return members, processing


def _in_thread(function: Callable[[], Result]) -> Future[Result]:
    """Call a function in a thread that doesn't hold up the end of this process."""
    future: Future[Result] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="synthbench-admission", daemon=True).start()
    return future


def _member(address: str, answer: Any) -> Member:
    if isinstance(answer, str):
        return Member(address, **json.loads(answer))
    text = " ".join(str(answer).split()) or type(answer).__name__
    if isinstance(answer, ImportError):
        text = f"synthbench can't be imported there ({text}); install the same version"
    return Member(address, address.rpartition("/")[2].rpartition(":")[0], text[:300], 0, 0, 0)
