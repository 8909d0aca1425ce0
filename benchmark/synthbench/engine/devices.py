"""Which GPUs there are, without importing torch, and how a process is given one of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from synthbench.errors import ConfigError

__all__ = [
    "KEEP_MEMORY",
    "THREAD_VARIABLES",
    "choose",
    "inherited",
    "share_cores",
    "usable",
    "visible_gpus",
    "worker_environment",
]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""glibc keeps what is freed, instead of asking the kernel for it again in every training step; a larger first value
than 32 MiB it ignores. A U-Net on two cores: a quarter less time per step."""


def visible_gpus() -> list[str]:
    """Return the identifiers of the GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [part.strip() for part in allowed.split(",") if part.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(line for line in answer.splitlines() if line.startswith("GPU"))]


def usable() -> bool:
    """Return whether a GPU could be used at all: there is a driver, and torch isn't built for CPUs alone."""
    driver = shutil.which("nvidia-smi") or any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg"))
    try:
        return bool(driver) and not metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def choose(device: str) -> list[str]:
    """Return the GPUs that ``--device`` means: none for the CPU.

    Raises
    ------
    ConfigError
        If it isn't ``auto``, ``cpu``, ``cuda`` or ``cuda:n``, or names a GPU that isn't there.
    """
    name, _, number = device.partition(":")
    if device == "cpu":
        return []
    if name not in ("auto", "cuda") or (number and (name == "auto" or not number.isdigit())):
        raise ConfigError(f"--device {device}: give auto, cpu, cuda or cuda:n")
    gpus = visible_gpus() if usable() else []
    if number:
        if int(number) >= len(gpus):
            raise ConfigError(f"--device {device}: this machine shows {len(gpus)} GPU(s); use --device auto or cpu")
        return [gpus[int(number)]]
    if name == "cuda" and not gpus:
        raise ConfigError("--device cuda: no GPU can be used here (driver, or torch without CUDA); use --device auto")
    return gpus


def worker_environment(gpus: Sequence[str], threads: int) -> dict[str, str]:
    """Return the variables by which a process sees only these GPUs and uses this many threads.

    Libraries read them when they are imported, so they must be there before the process is.
    """
    return {
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        **KEEP_MEMORY,
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@contextlib.contextmanager
def inherited(gpus: Sequence[str], threads: int) -> Iterator[None]:
    """Within, this process and those that it starts have the variables of `worker_environment`."""
    wanted = worker_environment(gpus, threads)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def share_cores(cores: int, gpus: int) -> tuple[int, int]:
    """Return the default number of workers, and of threads for each.

    The threads follow from the machine alone, so that ``--workers`` can't change a result.
    """
    threads = max(1, cores // max(gpus, 4))
    return (gpus or max(1, cores // threads)), threads
