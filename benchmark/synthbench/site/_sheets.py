"""Synthetic samples of a bundle as pictures: each image beside the same image with the outlines of its objects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from synthbench.board.entries import Entry
from synthbench.bundle.label_png import decode_labels
from synthbench.bundle.reading import BundleFile
from synthbench.errors import DataError, SynthbenchError
from synthbench.leaderboard.crops import crop_sample, side_by_side
from synthbench.samples import Sample, Task
from synthbench.samples.pictures import draw_annotation, stretch_samples, under_annotation
from synthbench.site._local_data import LocalData
from synthbench.site._picture_files import Picture, PictureFiles
from synthbench.types import AnyArray

__all__ = ["Sheet", "real_sheet", "sheets"]

FEW = 4
"""Samples of each generator that are shown."""
SIDE = 192
"""Of their crops, in pixels."""
MOST_SIDE = 8_192
MOST_BYTES = 2**25
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
            samples = list(_samples(file, str(row["draw"]), entry.name, notes)) if row["draw"] in drawn else []
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


def _samples(file: BundleFile, draw: str, entry: str, notes: list[str]) -> Iterator[Sample]:
    start = f"samples/{draw}/images/"
    for name in [each for each in file.names if each.startswith(start)][:FEW]:
        stem = name.removeprefix(start).rpartition(".")[0]
        try:
            image = _decoded(file.read(name, MOST_BYTES), name)
            labels = f"samples/{draw}/labels/{stem}.png"
            size = image.shape[0], image.shape[1]
            yield Sample(stem, image, decode_labels(file.read(labels, MOST_BYTES), size, labels))
        except SynthbenchError as error:
            notes.append(f"{entry}: {error}")


def _decoded(data: bytes, name: str) -> AnyArray:
    """Return an image from a PNG file; TIFF isn't read from bundles of unknown origin.

    Raises
    ------
    DataError
        If it is no PNG of grey or RGB pixels, or too large to be shown.
    """
    if not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise DataError(f"{name}: isn't shown, as it is no PNG file")
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise DataError(f"{name}: {height}×{width} pixels are too many to be shown")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode not in ("L", "I;16", "I", "RGB") or picture.size != (width, height):
                raise DataError(f"{name}: has pixels of the kind {picture.mode}, expected grey or RGB")
            pixels = np.asarray(picture)
    except DataError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise DataError(f"{name}: can't be read ({str(error)[:80]})") from None
    return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels


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
