"""Runs of an MLflow tracking server."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from synthbench.errors import ConfigError
from synthbench.loggers.base import LoggedRun, LoggedTask, Logger
from synthbench.plugin.api import Config

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.utils.async_logging.run_operations import RunOperations

__all__ = ["MLflow", "MLflowConfig"]

_KEY_TAG = "synthbench.key"
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflowConfig(Config):
    """Options of the logger ``mlflow``."""

    tracking_uri: str = Field("", description="the server, as http://localhost:5000; by default MLFLOW_TRACKING_URI")
    experiment: str = Field("", description="the name of the experiment; by default that of the study")


class MLflow(Logger[MLflowConfig]):
    """Writes to an experiment of an MLflow server, a run for each task. A resumed task goes on with its run.

    Names have no @ there: the score ``f1@0.50`` is ``f1/0.50``. Numbers are sent by a thread of MLflow's.

    Raises
    ------
    ConfigError
        If no server is named.
    """

    Config = MLflowConfig

    def __init__(self, config: MLflowConfig) -> None:
        super().__init__(config)
        self.address = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not self.address:
            raise ConfigError(
                "logger 'mlflow': no server is named; add --log-option tracking_uri=http://localhost:5000"
            )

    def start(self, run: LoggedRun) -> None:
        from mlflow import MlflowClient

        self._client: MlflowClient = MlflowClient(tracking_uri=self.address)
        name = self.config.experiment or run.name
        found = self._client.get_experiment_by_name(name)
        self._experiment: str = found.experiment_id if found else self._client.create_experiment(name)
        self._runs: dict[str, str] = {}
        self._sent: list[RunOperations] = []

    def scalars(self, task: LoggedTask, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name.replace("@", "/"), value, now, step) for name, value in values.items()]
        sent = self._client.log_batch(self._run(task), metrics, synchronous=False)
        if sent is not None:
            self._sent.append(sent)

    def image(self, task: LoggedTask, step: int, name: str, image: NDArray[np.uint8]) -> None:
        self._client.log_image(self._run(task), image, key=name, step=step, synchronous=True)

    def finish(self, status: str) -> None:
        try:
            for sent in self._sent:
                sent.wait()
        finally:
            for run in self._runs.values():
                self._client.set_terminated(run, _STATUS[status])

    def _run(self, task: LoggedTask) -> str:
        if task.key not in self._runs:
            which = f"tags.`{_KEY_TAG}` = '{task.key}'"
            found = self._client.search_runs([self._experiment], which, max_results=1)
            if found:
                self._client.update_run(found[0].info.run_id, status="RUNNING")
                self._runs[task.key] = found[0].info.run_id
            else:
                tags = {_KEY_TAG: task.key, "synthbench.kind": task.kind, "synthbench.plugin": task.plugin}
                run = self._client.create_run(self._experiment, tags=tags, run_name=task.label)
                self._runs[task.key] = run.info.run_id
        return self._runs[task.key]
