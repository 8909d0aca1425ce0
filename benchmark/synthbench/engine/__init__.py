"""Engines carry out the tasks of a study: the built-in ones, and what another one is written with.

Names are imported when first used, so that listing the built-in engines costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthbench.engine.base import Engine, Event, Options, Outcome
    from synthbench.engine.worker_process import WorkerProcess, wait_for_workers

__all__ = ["Engine", "Event", "Options", "Outcome", "WorkerProcess", "wait_for_workers"]

_WORKER_PROCESS = ("WorkerProcess", "wait_for_workers")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "worker_process" if name in _WORKER_PROCESS else "base"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
