"""Tasks that Dask has: how urgent each is, which Dask has put aside, and how one ended that came to nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from distributed import Future

from synthbench.engine import Outcome

__all__ = ["FORGOTTEN", "Submitted", "failure", "priority", "put_aside"]

_DIED = "the Dask workers that ran it died, one after another, as they do when memory runs out"

FORGOTTEN = 3.0
"""Seconds after which a task that could run is with a worker, or else was put aside."""


@dataclass
class Submitted:
    """A task that Dask has.

    Attributes
    ----------
    task : Task
    future : distributed.Future
    on_gpu : bool
        Whether it takes a GPU.
    waited : float
        When it was last seen to wait for another one, or was submitted, by `time.monotonic`.
    stage : str
        What it last reported to be doing; empty before that.
    outcome : Outcome or None
        How it ended, while what it stored can't be seen here.
    hidden_since : float
        When that was.
    """

    task: Any
    future: Future[Any]
    on_gpu: bool
    waited: float = field(default_factory=time.monotonic)
    stage: str = ""
    outcome: Outcome | None = None
    hidden_since: float = 0.0


def put_aside(submitted: Mapping[str, Submitted], processing: Collection[str], gpus: bool) -> dict[str, Submitted]:
    """Return the tasks that could run, and that no worker has; and those which wait for them.

    Dask puts a task aside when no worker may run it, and doesn't look again when one that is there is let in.

    Parameters
    ----------
    submitted
        By key, each after what it needs.
    processing
        Dask's keys of what workers had lately.
    gpus
        Whether a worker offers one.
    """
    now = time.monotonic()
    found: dict[str, Submitted] = {}
    for key, each in submitted.items():
        if each.outcome is not None or each.future.status != "pending":
            continue
        if any(need in found for need in each.task.needs):
            found[key] = each
        elif any(need in submitted for need in each.task.needs):
            each.waited = now
        elif each.future.key not in processing and now - each.waited > FORGOTTEN and (gpus or not each.on_gpu):
            found[key] = each
    return found


def priority(task: Any) -> float:
    """Return how early a task is to run, among those that can: short ones at once, then the longest trainings."""
    if not task.kind.startswith("fit-"):
        return 100.0
    plugin = task.content.get("plugin")
    budget: Mapping[str, float] = plugin.get("budget") or {} if isinstance(plugin, Mapping) else {}
    work = budget.get("steps", 0) * budget.get("batch_size", 1) * budget.get("patch_size", 1) ** 2
    return min(99.0, math.log2(1.0 + work) + (10.0 if task.kind == "fit-generator" else 0.0))


def failure(key: str, future: Future[Any]) -> Outcome:
    """Return how a job ended that raised, or whose workers died too often."""
    error = future.exception()
    text = " ".join(str(error).split()) or "no message"
    if type(error).__name__ == "KilledWorker":
        return Outcome(key, "crashed", "start", f"{_DIED}: {text[:400]}")
    return Outcome(key, "failed", "start", f"{type(error).__name__}: {text[:400]}")
