"""What is logged to MLflow, read back by MLflow's own client."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthbench import LoggedRun, LoggedTask
from synthbench.errors import ConfigError
from synthbench.loggers.choosing import make_loggers

FIT = LoggedTask("a" * 64, "fit-segmenter", "U-Net, seed 0 (<b>real</b>)", "unet")
EVALUATE = LoggedTask("b" * 64, "evaluate", "real", "unet")


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return (tmp_path / "mlruns").as_uri()


def log(address: str, folder: Path, first: int, status: str) -> None:
    ((_, logger),) = make_loggers(["mlflow"], {"tracking_uri": address})
    logger.start(LoggedRun("nuclei", folder))
    for step in range(first, first + 5):
        logger.scalars(FIT, step, {"fit/loss": 1 / (step + 1)})
    logger.image(FIT, first, "samples", np.full((8, 6, 3), 40, np.uint8))
    logger.scalars(EVALUATE, 0, {"f1@0.50": 0.75})
    logger.finish(status)


def test_a_server_has_a_run_for_each_task_and_a_resumed_task_goes_on_with_its_run(address: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    log(address, tmp_path / "logs", 0, "stopped")
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("nuclei")
    assert {run.info.status for run in client.search_runs([experiment.experiment_id])} == {"KILLED"}
    log(address, tmp_path / "logs", 5, "finished")
    runs = {run.data.tags["synthbench.key"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {FIT.key, EVALUATE.key}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    fit = runs[FIT.key].info
    assert fit.run_name == FIT.label
    losses = client.get_metric_history(fit.run_id, "fit/loss")
    assert sorted((loss.step, loss.value) for loss in losses) == [(step, 1 / (step + 1)) for step in range(10)]
    assert len(client.list_artifacts(fit.run_id, "images")) >= 2
    assert runs[EVALUATE.key].data.metrics == {"f1/0.50": 0.75}
    assert not (tmp_path / "logs").exists()


def test_the_address_comes_from_the_environment_or_is_asked_for(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no server is named; add --log-option tracking_uri="):
        make_loggers(["mlflow"], {})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    ((name, logger),) = make_loggers(["mlflow"], {})
    assert (name, logger.address) == ("mlflow", address)
