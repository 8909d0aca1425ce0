"""Counts what a fit does: optimiser steps, gradients, processes, calls of progress and of should_stop."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing.process
import os
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

__all__ = ["Watch"]

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system"}
_watching: list[Watch] = []


class Watch:
    """Sees what a fit does while `counting`.

    Optimiser steps are those of torch, and of Keras where it was loaded before the fit began. Steps in processes that
    were forked count too; those in other processes, of JAX, and of loops written in NumPy can't be seen.

    Parameters
    ----------
    stop_after
        How many times should_stop says False before it says True; None for always False.

    Attributes
    ----------
    steps : Counter
        Steps of each torch optimiser of this process, by its identity.
    updates : Counter
        Steps that each parameter was part of, by its identity, whichever optimiser took them.
    reports : list
        Arguments of progress.
    asked : int
        Calls of should_stop.
    processes : int
        Processes that were started.
    """

    def __init__(self, stop_after: int | None = None) -> None:
        self.steps: Counter[int] = Counter()
        self.updates: Counter[int] = Counter()
        self.reports: list[tuple[int, int, str]] = []
        self.asked = self.processes = 0
        self._stop_after = stop_after
        self._seen: list[Any] = []
        self._keras: list[Any] = []
        self._home = os.getpid()
        self._shared = mmap.mmap(-1, 16)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Record a report of progress."""
        self.reports.append((done, total, note))

    def should_stop(self) -> bool:
        """Count the question, and answer it."""
        self.asked += 1
        return self._stop_after is not None and self.asked > self._stop_after

    @property
    def gradients(self) -> int:
        """How often torch computed gradients, here and in forked processes."""
        return self._read(1)

    def counts(self) -> list[int]:
        """Return the steps of each optimiser; those taken in forked processes as if by one more."""
        keras = [int(optimiser.iterations.numpy()) for optimiser in self._keras]
        return [count for count in (*self.steps.values(), *keras, self._read(0)) if count]

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count what happens within."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        _audit_processes()
        handle = register_optimizer_step_post_hook(self._stepped)
        _watching.append(self)
        try:
            with (
                _before(*_gradient_engine(), self._differentiated),
                _before(multiprocessing.process.BaseProcess, "start", self._started),
                self._keras_optimisers(),
            ):
                yield
        finally:
            _watching.remove(self)
            handle.remove()

    def _stepped(self, optimiser: Any, _args: Any, _kwargs: Any) -> None:
        if os.getpid() != self._home:
            self._add(0)
            return
        if id(optimiser) not in self.steps:
            self._seen.append(optimiser)  # kept, so that no other gets its identity
        self.steps[id(optimiser)] += 1
        moved = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        self._seen.extend(p for p in moved if id(p) not in self.updates)
        self.updates.update(map(id, moved))

    def _differentiated(self, *_: Any) -> None:
        self._add(1)

    def _started(self, *_: Any) -> None:
        self.processes += 1

    @contextlib.contextmanager
    def _keras_optimisers(self) -> Iterator[None]:
        keras = sys.modules.get("keras")
        base = getattr(getattr(keras, "optimizers", None), "Optimizer", None)
        if base is None:
            yield
            return
        with _before(base, "__init__", self._keras.append, 1):
            yield

    def _read(self, place: int) -> int:
        return int(struct.unpack_from("q", self._shared, 8 * place)[0])

    def _add(self, place: int) -> None:
        struct.pack_into("q", self._shared, 8 * place, self._read(place) + 1)


def _gradient_engine() -> tuple[Any, str]:
    """Return what every computation of gradients by torch calls, however it was asked for."""
    import torch

    if hasattr(torch.autograd, "_engine_run_backward"):
        return torch.autograd, "_engine_run_backward"
    return torch.autograd.Variable._execution_engine, "run_backward"


@contextlib.contextmanager
def _before(owner: Any, name: str, tell: Callable[..., None], words: int | None = None) -> Iterator[None]:
    """Within, calls of a function tell of their first arguments, all of them by default, and go on as ever."""
    plain = getattr(owner, name)

    def telling(*args: Any, **kwargs: Any) -> Any:
        tell(*args[:words])
        return plain(*args, **kwargs)

    setattr(owner, name, telling)
    try:
        yield
    finally:
        setattr(owner, name, plain)


def _started(event: str, _args: Any) -> None:
    if event in _STARTS:
        for watch in _watching:
            watch.processes += 1


@cache
def _audit_processes() -> None:
    """Let Python tell of processes that are started, from now on: a hook like this can't be taken away again."""
    sys.addaudithook(_started)
