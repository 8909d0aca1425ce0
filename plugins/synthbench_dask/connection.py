"""The cluster that a run works on: its own on this machine, one that runs already, or jobs of a cluster's scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import threading
import warnings
from concurrent.futures import Future
from typing import Any

from distributed import Client, Security
from distributed.core import rpc

from synthbench.engine import Options
from synthbench.errors import ConfigError
from synthbench_dask.cluster_file import ClusterFile
from synthbench_dask.config import DaskConfig
from synthbench_dask.local_cluster import LocalCluster

__all__ = ["Connection"]

_LOGGERS = ("distributed", "dask_jobqueue", "tornado", "bokeh", "asyncio")
"""Whose complaints, and those of loggers below them, the run replaces by lines of its own."""

_BELOW = tuple(f"{name}." for name in _LOGGERS)


class Connection:
    """A client of Dask, and the cluster if it is the run's own.

    Parameters
    ----------
    options, config

    Attributes
    ----------
    client : distributed.Client
    where : str
        What to call the cluster in messages.
    expected_workers : int or None
        Workers that there will be at most; None where that is unknown.
    refusals : list of str
        Why jobs couldn't be submitted.

    Raises
    ------
    ConfigError
        If there is no such scheduler, or no cluster can be started.
    """

    def __init__(self, options: Options, config: DaskConfig) -> None:
        known = [*_LOGGERS, *(name for name in logging.root.manager.loggerDict if name.startswith(_BELOW))]
        self._levels = {name: logging.getLogger(name).level for name in known}
        for name in known:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._cluster: Any = None
        self._file = config.cluster_file()
        self.expected_workers: int | None = None
        self.refusals: list[str] = []
        try:
            if config.scheduler is not None:
                self.where = f"the scheduler {config.scheduler}"
                self.client = _join(config.scheduler, config.timeout)
            else:
                self._start_cluster(options, self._file)
                self.client = Client(self._cluster, timeout=max(30.0, config.timeout), set_as_default=False)
        except BaseException:
            self.close()
            raise

    def _start_cluster(self, options: Options, file: ClusterFile | None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a port of the dashboard that is taken, and the like
            if file is not None:
                self.where = f"the {file.system} cluster of {file.path}"
                self.expected_workers = file.workers
                self._cluster = file.start(options.device.startswith("cuda"), self.refusals)
                return
            self.where = "the workers of this machine"
            self.expected_workers = len(options.gpus[: options.workers]) or options.workers
            self._cluster = LocalCluster(options, self.expected_workers)

    @property
    def starts_workers(self) -> bool:
        """Whether the workers are this run's own."""
        return self._cluster is not None

    @property
    def dashboard(self) -> str:
        """The address of the dashboard; empty if there is none."""
        if self._cluster is not None and importlib.util.find_spec("bokeh") is None:
            return ""
        with contextlib.suppress(Exception):
            return str(self.client.dashboard_link or "")
        return ""

    def close(self) -> None:
        """Let go of the cluster; end it if it is the run's own."""
        lost = getattr(getattr(self, "client", None), "status", "") not in ("", "running")
        for each in (getattr(self, "client", None), self._cluster):
            if each is not None:
                with contextlib.suppress(Exception):
                    each.close(timeout=10)
        for name, level in () if lost else self._levels.items():  # Dask goes on complaining of a lost scheduler
            logging.getLogger(name).setLevel(level)


def _join(address: str, timeout: float) -> Client:
    try:
        _greet(address, timeout)
        return Client(address, timeout=timeout, set_as_default=False)
    except Exception as error:  # something else may listen there, and the first bytes it says be read as a size
        away = isinstance(error, (OSError, MemoryError))
        reason = "doesn't answer" if away else (str(error).splitlines() or ["?"])[0]
        raise ConfigError(
            f"--scheduler {address}: {reason}; start one with 'dask scheduler', or give its address, such as "
            "tcp://host:8786"
        ) from None


def _greet(address: str, timeout: float) -> None:
    """Return once a scheduler has answered.

    A client of Dask waits for ever where a connection is accepted and nothing is answered, and complains when it is
    deleted before it is complete. So one is made only where there is an answer.

    Raises
    ------
    TimeoutError
        If there is none in time.
    """
    answer: Future[None] = Future()

    async def ask() -> None:
        arguments = Security().get_connection_args("client")
        async with asyncio.timeout(timeout), rpc(address, timeout=timeout, connection_args=arguments) as scheduler:
            await scheduler.identity()

    def run() -> None:
        try:
            asyncio.run(ask())
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(None)

    threading.Thread(target=run, name="greet a scheduler", daemon=True).start()  # this one may have a loop of its own
    answer.result(timeout + 1.0)
