"""The places of a Dask worker for the tasks of a run: each has a process, kept from task to task for a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from synthbench import Config
from synthbench.engine import Options
from synthbench.engine.devices import visible_gpus
from synthbench.engine.local import LocalEngine
from synthbench.errors import ConfigError

__all__ = ["IDLE", "Slots"]

IDLE = 60.0
"""Seconds after which a process without a task is ended: the run may have died, or have no more tasks for it."""

_leases: Counter[str] = Counter()
_leasing = threading.Lock()


@dataclass
class _Slot:
    engine: LocalEngine
    gpu: str
    used: float = field(default_factory=time.monotonic)


class Slots:
    """Places for the tasks of one run.

    Parameters
    ----------
    options
        How the run's tasks are run.

    Attributes
    ----------
    options : Options
    stopping : threading.Event
        Set when the run's tasks are to stop.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stopping = threading.Event()
        self._idle: list[_Slot] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sweeper: threading.Thread | None = None

    @contextlib.contextmanager
    def taken(self, on_gpu: bool) -> Iterator[LocalEngine]:
        """Within, a place is this task's alone, with one of the worker's GPUs if it takes one.

        Raises
        ------
        ConfigError
            If the worker shows no GPU.
        """
        slot = self._take(on_gpu)
        try:
            yield slot.engine
        except BaseException:
            self._end(slot)
            raise
        with self._lock:
            slot.used = time.monotonic()
            keep = not self._closed.is_set() and not self.stopping.is_set()
            if keep:
                self._idle.append(slot)
        if not keep:
            self._end(slot)

    def close(self) -> None:
        """End the processes that have no task; those that have one end with it."""
        self._closed.set()
        self._end_idle(0.0)

    def _take(self, on_gpu: bool) -> _Slot:
        with self._lock:
            for slot in reversed(self._idle):
                if bool(slot.gpu) == on_gpu:
                    self._idle.remove(slot)
                    return slot
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="synthbench-slots", daemon=True)
                self._sweeper.start()
        gpu = _lease() if on_gpu else ""
        device = self.options.device if on_gpu else "cpu"
        options = replace(self.options, device=device, gpus=(gpu,) if gpu else (), workers=1)
        return _Slot(LocalEngine(options, Config()), gpu)

    def _sweep(self) -> None:
        while not self._closed.wait(IDLE / 12):
            self._end_idle(IDLE)

    def _end_idle(self, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            ended = [slot for slot in self._idle if now - slot.used >= seconds]
            self._idle = [slot for slot in self._idle if slot not in ended]
        for slot in ended:
            self._end(slot)

    def _end(self, slot: _Slot) -> None:
        slot.engine.close()
        if slot.gpu:
            with _leasing:
                _leases[slot.gpu] -= 1


def _lease() -> str:
    """Return the GPU that fewest processes of this worker have."""
    gpus = visible_gpus()
    if not gpus:
        raise ConfigError("this Dask worker offers a GPU, and shows none; see CUDA_VISIBLE_DEVICES there")
    with _leasing:
        gpu = min(gpus, key=lambda name: _leases[name])
        _leases[gpu] += 1
    return gpu
