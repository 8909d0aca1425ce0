"""The report of a run: ``report.html`` and the pictures that it shows."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synthbench.io.atomic import atomic_write
from synthbench.leaderboard._blocks import blocks
from synthbench.leaderboard._pages import page
from synthbench.leaderboard._run_files import INDEX, PICTURES
from synthbench.leaderboard.crops import crop_sample, side_by_side
from synthbench.samples import Sample, Task
from synthbench.samples.pictures import draw_annotation, stretch_samples, under_annotation

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["report"]


def report(
    run_folder: Path,
    results: Results,
    pictures: Mapping[str, Sequence[Sample]] | None = None,
    columns: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` into a run folder, and the pictures it shows into ``pictures/``.

    Parameters
    ----------
    run_folder
    results
    pictures
        Title → samples to show: real ones, and those of each generator. None: those that the folder has stay.
    columns
        Further ones; see `synthbench.leaderboard.table`.

    Returns
    -------
    Path
        Of the page: one self-contained file.
    """
    run_folder = Path(run_folder)
    run_folder.mkdir(parents=True, exist_ok=True)
    if pictures is not None:
        semantic = any(block.task == "semantic" for block in blocks(results))
        _write_pictures(run_folder, pictures, "semantic" if semantic else "instances")
    return atomic_write(run_folder / "report.html", page(results, run_folder, columns=columns))


def _write_pictures(folder: Path, pictures: Mapping[str, Sequence[Sample]], task: Task) -> None:
    beside = Path(tempfile.mkdtemp(prefix=f".{PICTURES}-", dir=folder))
    index = []
    for number, (title, samples) in enumerate(pictures.items()):
        shots = []
        cropped = [crop_sample(sample) for sample in samples]
        for i, (sample, shown) in enumerate(zip(cropped, stretch_samples(cropped), strict=True)):
            file = f"{number:02d}-{i:02d}.png"
            ground = under_annotation(shown, sample.image)
            sides = [shown, draw_annotation(replace(sample, image=ground), task)]
            Image.fromarray(side_by_side(sides)).save(beside / file)
            shots.append({"file": file, "caption": _caption(title, sample, task)})
        index.append({"title": title, "pictures": shots})
    (beside / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.chmod(0o755)
    shutil.rmtree(folder / PICTURES, ignore_errors=True)
    os.replace(beside, folder / PICTURES)


def _caption(title: str, sample: Sample, task: Task) -> str:
    if task == "semantic":
        return f"{title}, {sample.id}: image and classes in colour"
    count = len(np.unique(sample.labels[sample.labels > 0]))
    return f"{title}, {sample.id}: image and outlines of its {count} objects"
