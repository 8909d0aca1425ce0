"""What a task costs, and on what: memory, versions, hardware, source state."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from synthbench.plugin.hookspecs import PROJECT
from synthbench.plugin.registry import registry
from synthbench.study.plan import Task

__all__ = [
    "Memory",
    "checkout",
    "facts",
    "gpu_facts",
    "gpu_peak_mb",
    "hardware",
    "plugin_facts",
    "source_state",
    "versions",
]

_WATCHED = (
    "synthbench", "numpy", "scipy", "scikit-image", "torch", "torchvision", "monai", "tensorflow", "keras",
    "stardist", "csbdeep", "cellpose", "clean-fid", "pycocotools", "pydantic",
)  # fmt: skip


class Memory:
    """The peak resident memory of this process since `start`, in MiB.

    Linux can reset the kernel's high-water mark; elsewhere the peak is that of the whole process.
    """

    def start(self) -> None:
        """Reset the peak memory of this process, where the system can."""
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """Return the peak memory of this process in MiB, since `start` where the system can tell."""
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path("/proc/self/status").read_text().splitlines()
            mark = next(line for line in lines if line.startswith("VmHWM:"))
            return round(int(mark.split()[1]) / 1024, 1)
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def gpu_peak_mb() -> float | None:
    """Return the peak of this process's torch memory on the GPU since the last call, in MiB; None without a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    peak: float = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 1)


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the distributions that can change a result."""
    found = {"python": platform.python_version()}
    for name in _WATCHED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@cache
def hardware() -> dict[str, Any]:
    """Return what machine this is: processor, cores, memory."""
    import psutil

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "cores": os.cpu_count(),
        "memory_mb": round(psutil.virtual_memory().total / 2**20),
    }


def gpu_facts() -> dict[str, str]:
    """Return the name of the GPU that torch computed on in this process; nothing without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    return {"gpu": torch.cuda.get_device_name()}


def plugin_facts(task: Task) -> dict[str, Any]:
    """Return which distribution a task's plugin is of, and the state of its checkout; nothing of built-in ones."""
    kinds = {"draw": "generator", "evaluate": "segmenter", "encode": "encoder"}
    entry = registry().entries.get((kinds.get(task.kind, task.kind.removeprefix("fit-")), task.plugin))
    if entry is None or entry.distribution == PROJECT:
        return {}
    found = importlib.util.find_spec(entry.spec.package)
    state = checkout(Path(found.origin)) if found is not None and found.origin else {}
    return {"plugin_source": {"distribution": entry.distribution, "version": entry.version, "state": state}}


def source_state() -> dict[str, Any]:
    """Return the commit of synthbench's checkout, and whether it has uncommitted changes; empty when installed."""
    return checkout(Path(__file__).resolve())


@cache
def checkout(file: Path) -> dict[str, Any]:
    """Return the commit of the checkout that tracks a file, and whether it has uncommitted changes; or nothing."""
    here = file.parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        tracked = git("ls-files", "--error-unmatch", str(file))
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(tracked and git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def facts() -> dict[str, Any]:
    """Return what every record of a run says of where it was made."""
    return {"hardware": hardware(), "source_state": source_state()}
