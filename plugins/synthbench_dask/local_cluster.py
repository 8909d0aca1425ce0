"""A cluster of Dask on this machine: a scheduler in this process, and a worker for each task at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from typing import Any

from distributed import Scheduler, SpecCluster
from distributed.deploy.spec import ProcessInterface

from synthbench.engine import Options
from synthbench.processes.child import start_tracker
from synthbench.processes.family import MARK, end_family, new_mark
from synthbench.processes.guard import Guard
from synthbench.processes.signals import STOPS

__all__ = ["LocalCluster"]


class LocalCluster(SpecCluster):
    """Workers in processes of their own, so that one that dies loses one task; none outlives this process.

    Unlike the cluster of that name which comes with Dask, it doesn't import the main module of this process again.

    Parameters
    ----------
    options
    workers
        How many; each has one of the GPUs of `options`, if there are any.
    """

    def __init__(self, options: Options, workers: int) -> None:
        start_tracker()  # else a thread of Dask would start it, and hear signals from then on
        mark = new_mark()
        self._guard = Guard(mark)
        specs = {}
        for number in range(workers):
            own = {"guard": self._guard, "mark": f"{mark}-{number}.", "gpu": ""}
            if options.gpus:
                own["gpu"] = options.gpus[number]
            specs[number] = {"cls": _LocalWorker, "options": own}
        address = {"host": "127.0.0.1", "port": 0, "dashboard": True, "dashboard_address": "127.0.0.1:8787"}
        scheduler = {"cls": Scheduler, "options": address}
        # Dask's threads, and the processes that they start, don't hear the signals that stop a command: it ends them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            super().__init__(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL, name="synthbench")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def close(self, timeout: float | None = None) -> Any:
        """End the workers, and all that they have started."""
        closing = super().close(timeout)
        self._guard.dismiss()
        return closing


class _LocalWorker(ProcessInterface):
    """A process with a Dask worker, which it starts again if that dies."""

    def __init__(self, scheduler: str, name: int, guard: Guard, mark: str, gpu: str) -> None:
        super().__init__(scheduler, str(name))
        self._scheduler, self._number, self._guard, self._mark, self._gpu = scheduler, str(name), guard, mark, gpu
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "host": "127.0.0.1", "name": self._number}
        if self._gpu:
            options |= {"env": {"CUDA_VISIBLE_DEVICES": self._gpu}, "resources": {"GPU": 1}}
        spec = json.dumps({"cls": "distributed.Nanny", "opts": options})
        command = [sys.executable, "-P", "-m", "distributed.cli.dask_spec", self._scheduler, "--spec", spec]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command,
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            env={**os.environ, MARK: self._mark},
            start_new_session=True,
        )
        self._guard.watch(self._process.pid)
        await super().start()

    async def close(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(end_family, [self._process.pid], self._mark, 0)
            self._process.wait()
            self._process = None
        await super().close()
