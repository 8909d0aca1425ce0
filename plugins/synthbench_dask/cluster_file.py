"""The file of ``--cluster``: which system a cluster has, how its jobs are asked for, and how many."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.errors import ConfigError, suggest
from synthbench.io.safe_yaml import read_yaml

__all__ = ["SYSTEMS", "ClusterFile", "read_cluster_file"]

SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}
"""Systems, and the classes of dask-jobqueue for them."""

_ADAPT = ("minimum", "maximum")
_NOT_FOR_USERS = {
    "self", "scheduler", "name", "n_workers", "job_cls", "loop", "asynchronous", "scheduler_cls", "silence_logs",
    "dashboard_address", "host", "extra", "job_extra", "env_extra", "header_skip", "project", "args", "kwargs",
    "job_kwargs", "base_class_kwargs", "config_name",
}  # fmt: skip
"""Parameters that the engine sets itself, that dask-jobqueue has renamed, or that mean nothing here."""


@dataclass(frozen=True)
class ClusterFile:
    """How jobs are asked for.

    Attributes
    ----------
    path : Path
    system : str
        One of `SYSTEMS`.
    keys : mapping
        Arguments of dask-jobqueue's class.
    minimum, maximum : int
        Jobs at a time.
    """

    path: Path
    system: str
    keys: Mapping[str, Any]
    minimum: int
    maximum: int

    @property
    def workers(self) -> int:
        """Workers at a time, at most."""
        return self.maximum * int(self.keys.get("processes") or 1)

    def start(self, on_gpus: bool, refusals: list[str]) -> Any:
        """Return the cluster, whose jobs have been asked for.

        Parameters
        ----------
        on_gpus
            Whether each worker offers a GPU, unless the file says what it offers.
        refusals
            What the system says when it doesn't take a job is added here.

        Raises
        ------
        ConfigError
            If this machine doesn't know the system's commands, or dask-jobqueue refuses the keys.
        """
        cluster_class = _class_of(self.system)
        command = cluster_class.job_cls.submit_command.split()[0]
        if shutil.which(command) is None:
            raise ConfigError(
                f"{self.path}: there is no {command} here; run this where {self.system} jobs are submitted"
            )
        keys = dict(self.keys)
        extra = list(keys.pop("worker_extra_args", None) or [])
        if on_gpus and not any(str(word).startswith("--resources") for word in extra):
            extra += ["--resources", "GPU=1"]
        try:
            job_class = _telling(cluster_class.job_cls, refusals)
            cluster = cluster_class(**keys, job_cls=job_class, worker_extra_args=extra, silence_logs="critical")
        except (ValueError, TypeError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"{self.path}: {self.system}: {reason}") from None
        cluster.loop.asyncio_loop.set_exception_handler(_pass_over_refusals)
        if self.minimum == self.maximum:
            cluster.scale(jobs=self.maximum)
        else:
            cluster.adapt(minimum_jobs=self.minimum, maximum_jobs=self.maximum, interval="5s", wait_count=12)
        return cluster


def read_cluster_file(path: Path) -> ClusterFile:
    """Read the file of ``--cluster``.

    Raises
    ------
    ConfigError
        If it can't be read, or names a system or a key that isn't known; the message has the nearest name.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; --cluster wants a YAML file such as docs/cluster.md shows")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, such as slurm: {{cores: 8, memory: 16GB}}")
    known = [*SYSTEMS, "adapt", "jobs"]
    for key in content:
        if key not in known:
            raise ConfigError(f"{path}: {key}: no such key{suggest(str(key), known) or '; known: ' + ', '.join(known)}")
    systems = [key for key in content if key in SYSTEMS]
    if len(systems) != 1:
        raise ConfigError(f"{path}: expected one of {', '.join(SYSTEMS)}, and there are {len(systems)}")
    keys = content[systems[0]] or {}
    _check_keys(path, systems[0], keys)
    return ClusterFile(path, systems[0], keys, *_jobs(path, content))


def _check_keys(path: Path, system: str, keys: Any) -> None:
    if not isinstance(keys, dict):
        raise ConfigError(f"{path}: {system}: expected keys and values, such as {{cores: 8, memory: 16GB}}")
    known = _known_keys(system)
    for key in keys:
        if key not in known:
            hint = suggest(str(key), known) or f"; known: {', '.join(sorted(known))}"
            raise ConfigError(f"{path}: {system}.{key}: no such key of dask-jobqueue{hint}")
    if isinstance(keys.get("walltime"), int):
        raise ConfigError(f"{path}: {system}.walltime: YAML reads this as a number; put it in quotes: '4:00:00'")
    for key in ("cores", "processes"):
        value = keys.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f"{path}: {system}.{key}: {value!r}: expected an integer ≥ 1")


def _jobs(path: Path, content: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many jobs there are at least and at most."""
    if ("jobs" in content) == ("adapt" in content):
        raise ConfigError(f"{path}: say how many jobs: either jobs: 4, or adapt: {{minimum: 0, maximum: 20}}")
    if "jobs" in content:
        return (_count(path, "jobs", content["jobs"], 1),) * 2
    adapt = content["adapt"]
    if not isinstance(adapt, dict) or "maximum" not in adapt:
        raise ConfigError(f"{path}: adapt: expected the most jobs at a time, such as {{minimum: 0, maximum: 20}}")
    for key in adapt:
        if key not in _ADAPT:
            raise ConfigError(
                f"{path}: adapt.{key}: no such key{suggest(str(key), _ADAPT) or '; known: ' + ', '.join(_ADAPT)}"
            )
    maximum = _count(path, "adapt.maximum", adapt["maximum"], 1)
    minimum = _count(path, "adapt.minimum", adapt.get("minimum", 0), 0)
    if minimum > maximum:
        raise ConfigError(f"{path}: adapt: the minimum, {minimum}, is above the maximum, {maximum}")
    return minimum, maximum


def _count(path: Path, name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{path}: {name}: {value!r}: expected an integer ≥ {least}")
    return value


class _Refused(RuntimeError):
    """A job wasn't taken, which the run has been told."""


def _pass_over_refusals(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let nothing be printed of refusals: nobody awaits Dask's tasks that submit jobs."""
    if not isinstance(context.get("exception"), _Refused):
        loop.default_exception_handler(context)


def _telling(job_class: Any, refusals: list[str]) -> Any:
    """Return a class of jobs that adds to `refusals` why one can't be submitted, which dask-jobqueue only logs."""

    async def start(self: Any) -> None:
        try:
            await job_class.start(self)
        except Exception as error:
            said = str(error).partition("stderr:")[2] or str(error)
            refusals.append(" ".join(said.split())[:300] or type(error).__name__)
            raise _Refused(said) from error

    return type(job_class.__name__, (job_class,), {"start": start})


def _class_of(system: str) -> Any:
    with _handlers_kept():
        import dask_jobqueue

    return getattr(dask_jobqueue, SYSTEMS[system])


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put Ctrl-C's handler back: importing dask-jobqueue makes it end the process with exit status 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def _known_keys(system: str) -> set[str]:
    """Return the names of the arguments that dask-jobqueue's class for a system takes, and those of its jobs."""
    cluster_class = _class_of(system)
    makers = [*cluster_class.__mro__, *cluster_class.job_cls.__mro__]
    ours = [
        each.__init__ for each in makers if each.__module__.startswith("dask_jobqueue") and "__init__" in vars(each)
    ]
    return {name for make in ours for name in inspect.signature(make).parameters} - _NOT_FOR_USERS
