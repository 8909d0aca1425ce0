"""Studies on the workers of a scheduler that runs already."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from plugins.dask.conftest import stepwise, training, until
from synthbench.results import load_results

LITTLE = 50
"""MiB: less than any task needs."""

UNGUARDED = {f"DASK_DISTRIBUTED__WORKER__MEMORY__{name}": "False" for name in ("TARGET", "SPILL", "PAUSE", "TERMINATE")}
"""Lets a Dask worker run on, whatever its limit."""


def joined(site, *words: object) -> tuple[object, ...]:
    return ("--engine", "dask", "--scheduler", site.address, *words)


def slow(trial, seconds: float, seeds: int = 2) -> Path:
    return trial.study(segmenters=[{"name": "threshold", "config": {"seconds": seconds}}], seeds=seeds)


def trainings_of(trial, seconds: float, seeds: int) -> Path:
    """A study of trainings alone."""
    segmenter = {"name": "threshold", "config": {"seconds": seconds}}
    return trial.study(generators=None, synthetic=None, encoder=None, segmenters=[segmenter], seeds=seeds)


@pytest.mark.slow
def test_a_run_joins_a_scheduler_and_leaves_its_workers_as_they_were(trial, site) -> None:
    site.start_scheduler()
    site.start_worker("--name", "first")
    site.start_worker("--name", "second")
    trial.run("run", trial.study(), *joined(site))
    trial.run(
        "run", trial.study(), "--engine", "serial", "--store", trial.folder / "one", "--out", trial.folder / "calm"
    )
    ours, theirs = (load_results(trial.folder / name).images for name in ("runs/trial", "calm"))
    pd.testing.assert_frame_equal(ours, theirs)
    until(lambda: not [words for words in trial.left() if "-m synthbench" in words], 10)
    assert all(process.poll() is None for process in site.processes)


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused_by_name(trial, site, other_synthbench: str) -> None:
    site.start_scheduler()
    paths = f"{other_synthbench}:{trial.environment()['PYTHONPATH']}"
    site.start_worker(PYTHONPATH=paths)
    refused = trial.run("run", trial.study(), *joined(site), code=2)
    assert "synthbench 0.0.7" in refused.stderr
    assert "tcp://127.0.0.1" in refused.stderr
    assert len(refused.stderr.strip().splitlines()[-1].splitlines()) == 1
    assert "Traceback" not in refused.stderr
    site.start_worker()
    done = trial.run("run", trial.study(), *joined(site))
    assert "refused" in done.stderr
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}


@pytest.mark.slow
def test_a_worker_that_joins_later_takes_part_once_it_was_looked_at(trial, site) -> None:
    site.start_scheduler()
    process = trial.begin("run", slow(trial, 1.0), *joined(site))
    time.sleep(4)
    site.start_worker()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def test_no_scheduler_is_one_line(trial) -> None:
    began = time.monotonic()
    words = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:9", "--engine-option", "timeout=2")
    refused = trial.run("run", trial.study(), *words, code=2)
    assert "--scheduler tcp://127.0.0.1:9" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert time.monotonic() - began < 60


def test_gpus_that_no_worker_offers_are_one_line(trial, site) -> None:
    site.start_scheduler()
    site.start_worker()
    refused = trial.run("run", trial.study(), *joined(site, "--device", "cuda"), code=2)
    assert "--device cuda: no worker offers a GPU" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_a_killed_run_is_stopped_on_workers_that_live_on(trial, site) -> None:
    study = trial.study(generators=[{"name": "troubled", "config": {"trouble": "wait"}}], seeds=1)
    site.start_scheduler()
    site.start_worker()
    site.start_worker()
    process = trial.begin("run", study, *joined(site))
    until(lambda: any(trial.store.glob(".work/fit-generator-*")))
    time.sleep(3)
    process.kill()
    process.wait()
    until(lambda: any(trial.store.glob(".work/fit-generator-*/mark.txt")), 30)


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_and_the_same_command_resumes(trial, site) -> None:
    site.start_scheduler()
    workers = [site.start_worker() for _ in range(2)]
    study = slow(trial, 2.0)
    process = trial.begin("run", study, *joined(site, "--engine-option", "timeout=3"))
    until(lambda: len(trial.artifacts("fit-segmenter")) > 1)
    site.scheduler.kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "the same command resumes" in output.strip().splitlines()[-1]
    assert "Traceback" not in output
    kept = trial.artifacts("fit-segmenter")
    for worker in workers:
        worker.terminate()
        worker.wait(timeout=60)
    site.start_scheduler()
    site.start_worker()
    trial.run("run", study, *joined(site))
    assert kept.items() <= trial.artifacts("fit-segmenter").items()
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_hands_its_task_to_another(trial, site) -> None:
    """As a cluster does at the end of a job's time: a signal to every process of the job."""
    site.start_scheduler()
    first = site.start_worker()
    process = trial.begin("run", slow(trial, 3.0, seeds=1), *joined(site))
    until(lambda: any(trial.store.glob(".work/fit-segmenter-*")))
    site.start_worker()
    time.sleep(1)
    first.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "stopped" not in output
    assert set(load_results(trial.folder / "runs" / "trial").runs["status"]) == {"ok"}


@pytest.mark.slow
def test_a_task_whose_workers_die_of_it_is_a_row_that_names_memory(trial, site) -> None:
    site.start_scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    site.start_worker()
    process = trial.begin("run", stepwise(trial, 600), *joined(site))
    training(trial).parent().kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 3, output
    tasks = load_results(trial.folder / "runs" / "trial").tasks.set_index("kind")
    assert tasks.loc["fit-segmenter", "status"] == "crashed"
    assert "memory" in tasks.loc["fit-segmenter", "error"]


@pytest.mark.slow
def test_tasks_that_need_all_memory_of_a_worker_run_one_at_a_time(trial, site) -> None:
    """What they need is known from the run before, on a worker without a limit, where they ran side by side."""

    def trainings() -> dict[str, tuple[float, float]]:
        """When each training began and ended, by its key."""
        times = {}
        for path in trial.store.glob("fit-segmenter/*/record.json"):
            record = json.loads(path.read_text())
            assert record["peak_memory_mb"] > LITTLE
            times[path.parent.name] = (path.stat().st_mtime - record["seconds"], path.stat().st_mtime)
        return times

    def is_side_by_side(times: list[tuple[float, float]]) -> bool:
        (_, first_end), (second_begin, _) = sorted(times)
        return second_begin < first_end

    site.start_scheduler()
    worker = site.start_worker("--nthreads", 2, "--memory-limit", 0)
    trial.run("run", trainings_of(trial, 3.0, 2), *joined(site, "--threads", "1"))
    before = trainings()
    assert is_side_by_side(list(before.values()))
    worker.terminate()
    worker.wait(timeout=60)
    site.start_worker("--nthreads", 2, "--memory-limit", f"{LITTLE}MiB", **UNGUARDED)
    trial.run("run", trainings_of(trial, 3.0, 4), *joined(site, "--threads", "1"))
    assert not is_side_by_side([times for key, times in trainings().items() if key not in before])


@pytest.mark.slow
def test_tasks_go_on_when_only_a_worker_with_less_memory_is_left(trial, site) -> None:
    site.start_scheduler()
    worker = site.start_worker("--memory-limit", 0)
    trial.run("run", trainings_of(trial, 0.0, 1), *joined(site))
    process = trial.begin("run", trainings_of(trial, 2.0, 3), *joined(site))
    until(lambda: any(trial.store.glob(".work/fit-segmenter-*")))
    site.start_worker("--memory-limit", f"{LITTLE}MiB", **UNGUARDED)
    time.sleep(1)
    worker.kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


@pytest.mark.parametrize(("option", "value"), [("--scheduler", "tcp://127.0.0.1:8786"), ("--cluster", "cluster.yaml")])
def test_an_engine_without_them_takes_neither_scheduler_nor_cluster(trial, option: str, value: str) -> None:
    refused = trial.run("run", trial.study(), option, value, code=2)
    assert f"{option} {value}" in refused.stderr
    assert "--engine dask" in refused.stderr


def test_workers_of_others_are_not_counted_here(trial) -> None:
    refused = trial.run("run", trial.study(), "--engine", "dask", "--scheduler", "tcp://x:1", "--workers", "2", code=2)
    assert "--workers 2" in refused.stderr
