"""The file of --cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from synthbench.errors import ConfigError
from synthbench_dask.cluster_file import SYSTEMS, read_cluster_file


def written(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_takes_the_keys_of_its_jobs(tmp_path: Path, system: str) -> None:
    found = read_cluster_file(
        written(tmp_path, f"{system}: {{cores: 8, processes: 2, memory: 32GB}}\nadapt: {{minimum: 1, maximum: 20}}\n")
    )
    assert (found.system, found.minimum, found.maximum, found.workers) == (system, 1, 20, 40)
    assert found.keys == {"cores": 8, "processes": 2, "memory": "32GB"}


def test_a_number_of_jobs_is_fixed(tmp_path: Path) -> None:
    found = read_cluster_file(written(tmp_path, "slurm: {cores: 1, memory: 1GB, walltime: '4:00:00'}\njobs: 3\n"))
    assert (found.minimum, found.maximum) == (3, 3)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("slrum: {cores: 1}\njobs: 1\n", "'slurm'"),
        ("slurm: {cors: 1}\njobs: 1\n", "'cores'"),
        ("slurm: {job_cls: x}\njobs: 1\n", "slurm.job_cls"),
        ("slurm: {cores: 1}\njobs: 1\nadapt: {maximum: 2}\n", "jobs: 4"),
        ("slurm: {cores: 1}\n", "jobs: 4"),
        ("slurm: {cores: 1}\npbs: {cores: 1}\njobs: 1\n", "there are 2"),
        ("jobs: 1\n", "there are 0"),
        ("slurm: {cores: 1}\njobs: 0\n", "jobs: 0"),
        ("slurm: {cores: 1}\njobs: true\n", "jobs: True"),
        ("slurm: {cores: 1}\nadapt: {maximum: 2, minimum: 3}\n", "3"),
        ("slurm: {cores: 1}\nadapt: {maximal: 2}\n", "adapt"),
        ("slurm: {cores: 1}\nadapt: {maximum: 2, minimal: 1}\n", "'minimum'"),
        ("slurm: {cores: 1, walltime: 4:00:00}\njobs: 1\n", "slurm.walltime"),
        ("slurm: {cores: 0}\njobs: 1\n", "slurm.cores"),
        ("slurm: 3\njobs: 1\n", "slurm"),
        ("- slurm\n", "cluster.yaml"),
        ("slurm: {cores: 1}\nslurm: {cores: 2}\njobs: 1\n", "line 2"),
    ],
)
def test_what_is_not_understood_is_one_line_with_the_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_cluster_file(written(tmp_path, text))
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(trial) -> None:
    refused = trial.run("run", trial.study(), "--engine", "dask", "--cluster", "nowhere.yaml", code=2)
    assert "nowhere.yaml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_machine_without_the_system_is_one_line(trial, monkeypatch) -> None:
    file = written(trial.folder, "oar: {cores: 1, memory: 1GB}\njobs: 1\n")
    monkeypatch.setenv("PATH", os.devnull)
    refused = trial.run("run", trial.study(), "--engine", "dask", "--cluster", file, code=2)
    assert "oarsub" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_gpus_of_other_machines_have_no_numbers(trial) -> None:
    file = written(trial.folder, "oar: {cores: 1, memory: 1GB}\njobs: 1\n")
    words = ("--engine", "dask", "--cluster", file, "--device", "cuda:1")
    assert "--device cuda:1" in trial.run("run", trial.study(), *words, code=2).stderr


def test_ctrl_c_still_interrupts_once_a_cluster_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "slurm: {cores: 1, memory: 1GB}\njobs: 1\n")
    script = f"""
import pathlib, signal
from synthbench_dask.cluster_file import read_cluster_file
read_cluster_file(pathlib.Path({str(path)!r}))
signal.raise_signal(signal.SIGINT)
"""
    # a fresh process: the library sets its handler where it is first imported
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert "KeyboardInterrupt" in ended.stderr, ended
    assert ended.returncode != 0
