"""Options of the engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from synthbench import Config
from synthbench.errors import ConfigError
from synthbench_dask.cluster_file import ClusterFile, read_cluster_file

__all__ = ["DaskConfig"]

_ADDRESS = re.compile(r"(?:(?:tcp|tls|wss?|ucx)://)?(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
"""An address as Dask takes it; without a protocol it is one of TCP."""


class DaskConfig(Config):
    """Workers of Dask. Without options they are started on this machine, and ended with the run."""

    scheduler: str | None = Field(
        None, description="Address of a scheduler that runs already, such as `tcp://host:8786`."
    )
    cluster: Path | None = Field(
        None, description="A file that says how jobs of a cluster are asked for, in which workers are started."
    )
    timeout: float = Field(
        10.0, gt=0, description="Seconds after which a scheduler that doesn't answer is taken as away."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scheduler is not None and self.cluster is not None:
            raise ConfigError("scheduler and cluster: give one of them")
        if self.scheduler is not None and not _is_address(self.scheduler):
            raise ConfigError(
                f"scheduler: {self.scheduler!r}: expected a protocol (tcp, tls, ws, wss, ucx), a host and a port, "
                "such as tcp://host:8786"
            )
        self.cluster_file()
        return self

    def cluster_file(self) -> ClusterFile | None:
        """Return what the file of `cluster` says; None without one.

        Raises
        ------
        ConfigError
            If it can't be read, or says something that isn't understood.
        """
        return None if self.cluster is None else read_cluster_file(self.cluster)


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found["port"]) < 2**16
