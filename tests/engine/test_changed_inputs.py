"""Inputs that change while a study runs, through the command line: what comes of them never enters the store."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from synthbench.results import load_results
from synthbench.samples import Sample, SampleSet


def easy(sample: Sample) -> Sample:
    """The same annotation, on an image that gives it away."""
    return Sample(sample.id, (sample.labels > 0).astype(np.uint8) * 200, sample.labels, sample.groups)


def scores(run: Path) -> pd.DataFrame:
    return load_results(run).images


def test_a_set_that_is_replaced_during_a_run_and_put_back_leaves_no_score(trial, blob_set: SampleSet) -> None:
    cells = trial.folder / "cells"
    blob_set.save(cells)
    slow = [{"name": "threshold", "config": {"seconds": 2.0}}]
    study = trial.study(datasets=[str(cells)], segmenters=slow, seeds=1)
    trial.run("run", study, "--store", trial.folder / "calm", "--out", trial.folder / "calm-run")
    process = trial.begin("run", study, "--workers", "1")
    deadline = time.monotonic() + 90
    while not (trial.store / ".work").is_dir() or not any((trial.store / ".work").glob("fit-segmenter-*")):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    kept = cells.rename(trial.folder / "kept")
    SampleSet.write(cells, map(easy, SampleSet.open(kept)), name="cells")
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 3, told
    assert "its samples aren't those" in told
    for path in sorted(cells.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    cells.rmdir()
    kept.rename(cells)
    trial.run("run", study)
    pd.testing.assert_frame_equal(scores(trial.folder / "calm-run"), scores(trial.folder / "runs" / "trial"))


def test_a_picture_that_rots_in_the_store_costs_one_report_its_picture(trial) -> None:
    study = trial.study(seeds=1)
    trial.run("run", study, "--engine", "serial")
    (draw,) = trial.artifacts("draw")
    file = trial.store / "draw" / draw / "samples" / "images" / "000000.png"
    whole, state = file.read_bytes(), file.stat()
    rotten = bytearray(whole)
    rotten[len(rotten) // 2] ^= 8
    file.write_bytes(rotten)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    done = trial.run("run", study, "--engine", "serial")
    assert "0 to run" in done.stderr
    assert "no pictures of brighter in the report: " in done.stderr
    done = trial.run("run", study, "--engine", "serial")
    assert "1 to run" in done.stderr
    assert "no pictures" not in done.stderr
    assert file.read_bytes() == whole
