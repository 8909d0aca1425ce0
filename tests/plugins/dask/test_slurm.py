"""Studies in the jobs of a real SLURM; docs/cluster.md shows how to set up one on a single machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from plugins.dask.conftest import stepwise, trained, training
from synthbench.results import load_results


def slurm_answers() -> bool:
    if shutil.which("sbatch") is None:
        return False
    asked = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, timeout=30, check=False)
    return asked.returncode == 0 and any(word in asked.stdout for word in ("idle", "mix"))


pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_answers(), reason="needs sbatch and an idle node of SLURM; see docs/cluster.md"),
]


def cluster(trial, jobs: str, **keys: str) -> Path:
    path = trial.folder / "cluster.yaml"
    own = {"cores": "1", "memory": "1GB", "walltime": "'00:20:00'", "interface": "lo", "log_directory": "jobs", **keys}
    path.write_text(f"slurm: {{{', '.join(f'{key}: {value}' for key, value in own.items())}}}\n{jobs}\n")
    return path


def jobs_of_dask() -> list[str]:
    listed = subprocess.run(
        ["squeue", "-h", "-n", "dask-worker", "-o", "%i"], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def test_jobs_come_when_there_are_tasks_and_go_with_the_run(trial) -> None:
    file = cluster(trial, "adapt: {minimum: 0, maximum: 2}")
    trial.run("run", trial.study(), "--engine", "dask", "--cluster", file, "--threads", "1")
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}
    assert not jobs_of_dask()
    assert trial.remaining(20) == []


def test_a_training_whose_job_is_cancelled_resumes_in_another(trial) -> None:
    study = stepwise(trial, 200)
    words = ("--threads", "1")
    trial.run("run", study, *words, "--store", trial.folder / "calm", "--out", trial.folder / "calm-run")
    process = trial.begin("run", study, "--engine", "dask", "--cluster", cluster(trial, "jobs: 2"), *words)
    job = training(trial).environ()["SLURM_JOB_ID"]
    subprocess.run(["scancel", job], check=True)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    assert "resumed at round" in output
    assert "stopped in" not in output
    assert trained(trial.store) == trained(trial.folder / "calm")
    assert not jobs_of_dask()


def test_a_job_that_is_not_taken_is_one_line(trial) -> None:
    words = ("--engine", "dask", "--cluster", cluster(trial, "jobs: 1", queue="nosuch"))
    refused = trial.run("run", trial.study(), *words, code=2)
    assert "nosuch" in refused.stderr.strip().splitlines()[-1]
    assert "Traceback" not in refused.stderr
