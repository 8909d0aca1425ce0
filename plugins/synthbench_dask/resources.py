"""What tasks ask of a worker, in the terms of Dask: a place of the run, memory, a GPU."""

from __future__ import annotations

import math
from collections.abc import Collection

__all__ = ["UNLIMITED", "asked", "offered"]

UNLIMITED = 2**40
"""MiB that a worker without a limit of memory offers: more than all its tasks ask for."""


def offered(run: str, slots: int, memory_mb: int) -> dict[str, float]:
    """Return what a worker offers to a run, by Dask's names of resources.

    Parameters
    ----------
    run
    slots
        Tasks at a time.
    memory_mb
        Its limit of memory in MiB.
    """
    return {run: slots, _memory_of(run): memory_mb}


def asked(run: str, on_gpu: bool, expected_mb: float | None, limits_mb: Collection[int]) -> dict[str, float]:
    """Return what a task asks for, by Dask's names of resources.

    Parameters
    ----------
    run
    on_gpu
        Whether it takes a GPU.
    expected_mb
        Peak memory in MiB that it is expected to have; None if that is unknown, and it asks for none.
    limits_mb
        Limits of memory of the workers in MiB. A task asks for no more than any of them has, so that each may run it.
    """
    resources: dict[str, float] = {run: 1}
    if on_gpu:
        resources["GPU"] = 1
    if expected_mb is not None and limits_mb:
        resources[_memory_of(run)] = min(math.ceil(expected_mb), *limits_mb)
    return resources


def _memory_of(run: str) -> str:
    return f"{run}-memory"
