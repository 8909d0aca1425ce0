"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["CONTROL_GROUPS", "MEMBERSHIP", "usable_processors"]

MEMBERSHIP = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_processors() -> int:
    """Return how many processors this process may use, at least 1.

    That is what its affinity leaves of the machine's, and what the quota of its control group leaves of those: a
    container is often given the time of two processors on a machine that shows 64. macOS has neither, so there it is
    the machine's number. From Python 3.13 on, ``PYTHON_CPU_COUNT`` sets it.
    """
    quota = _quota()
    count = _allowed()
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def _allowed() -> int:
    """Return the processors that the scheduler may run this process on."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> float | None:
    """Return the processors' worth of time that the control groups of this process grant; None without a limit."""
    found = [quota for folder in _groups() if (quota := _quota_of(folder)) is not None]
    return min(found, default=None)


def _groups() -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, and of those above them."""
    try:
        rows = [line.split(":", 2) for line in MEMBERSHIP.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return
    for row in rows:
        if len(row) == 3 and (not row[1] or "cpu" in row[1].split(",")):
            root = CONTROL_GROUPS / row[1]
            inner = root / row[2].lstrip("/")
            yield inner
            yield from (folder for folder in inner.parents if folder.is_relative_to(root))


def _quota_of(folder: Path) -> float | None:
    """Read a group's quota: version 2 has it in one file, version 1 in two."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = [word for name in names for word in (folder / name).read_text(encoding="utf-8").split()]
            quota, period = map(int, words)
        except (OSError, ValueError):
            continue
        if quota > 0 and period > 0:
            return quota / period
    return None
