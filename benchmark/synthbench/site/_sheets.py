"""Synthetic samples of a bundle as pictures: each image beside the same image with the outlines of its objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.board.entries import Entry
from synthbench.bundle.drawn_samples import image_names, read_sample
from synthbench.bundle.reading import BundleFile
from synthbench.errors import SynthbenchError
from synthbench.leaderboard.crops import crop_sample, side_by_side
from synthbench.samples import Sample, Task
from synthbench.samples.pictures import draw_annotation, stretch_samples, under_annotation
from synthbench.site._local_data import LocalData
from synthbench.site._picture_files import Picture, PictureFiles

__all__ = ["Sheet", "real_sheet", "sheets"]

FEW = 4
"""Samples of each generator that are shown."""
SIDE = 192
"""Of their crops, in pixels."""


@dataclass(frozen=True)
class Sheet:
    """Pictures of the samples of a generator, or of real ones, and why there are none."""

    title: str
    dataset: str
    entry: str
    pictures: tuple[Picture, ...]
    reason: str = ""


def sheets(entry: Entry, pictures: PictureFiles, notes: list[str]) -> list[Sheet]:
    """Return a sheet for each generator of a bundle.

    Parameters
    ----------
    entry
    pictures
        Where pictures are kept.
    notes
        Gets a line for each sample that can't be shown.
    """
    rows = {row["generator"]: row for row in entry.contents.trainings if row["draw"]}
    with BundleFile(entry.path) as file:
        drawn = {name.split("/")[1] for name in file.names if name.startswith("samples/") and name.count("/") > 1}
        rows |= {row["generator"]: row for row in entry.contents.trainings if row["draw"] in drawn}
        found = []
        for title, row in rows.items():
            task = entry.contents.datasets[row["dataset"]].task
            samples = _shown(file, str(row["draw"]), entry.name, notes) if row["draw"] in drawn else []
            reason = "" if samples else "the bundle holds no samples: they copy images of the dataset, or can't be read"
            shown = _drawn(title, samples, task, pictures)
            found.append(Sheet(title, row["dataset"], entry.name, shown, reason))
    return found


def real_sheet(entry: Entry, title: str, data: LocalData, pictures: PictureFiles) -> Sheet:
    """Return a sheet of training images of a dataset, where they are at hand and may be shown."""
    contents = entry.contents
    local = data.find(contents, title)
    ids = contents.splits[title][0].train[:FEW]
    samples = [each for name in ids if (each := local.sample(contents, title, name)) is not None]
    task = contents.datasets[title].task
    return Sheet("real images", title, entry.name, _drawn("real", samples, task, pictures), local.reason)


def _shown(file: BundleFile, draw: str, entry: str, notes: list[str]) -> list[Sample]:
    found = []
    for name in image_names(file, draw)[:FEW]:
        try:
            found.append(read_sample(file, name))
        except SynthbenchError as error:
            notes.append(f"{entry}: {error}")
    return found


def _drawn(title: str, samples: list[Sample], task: Task, pictures: PictureFiles) -> tuple[Picture, ...]:
    cropped = [crop_sample(sample, SIDE) for sample in samples]
    found = []
    for sample, shown in zip(cropped, stretch_samples(cropped), strict=True):
        ground = under_annotation(shown, sample.image)
        over = draw_annotation(Sample(sample.id, ground, sample.labels), task)
        count = len(np.unique(sample.labels[sample.labels > 0]))
        what = "image and classes in colour" if task == "semantic" else f"image and outlines of its {count} objects"
        found.append(pictures.add(side_by_side([shown, over]), f"{title}, {sample.id}: {what}"))
    return tuple(found)
