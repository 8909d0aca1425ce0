"""The test images that arms change most, with the predictions of both: pictures for the page of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from synthbench.board.entries import Entry
from synthbench.bundle import layout
from synthbench.bundle.label_png import decode_labels
from synthbench.bundle.reading import BundleFile
from synthbench.errors import DataError
from synthbench.leaderboard.parts import short
from synthbench.site._differing_images import ArmExamples, Example, arm_examples
from synthbench.site._local_data import LocalData
from synthbench.site._outcomes import draw_panes
from synthbench.site._picture_files import Picture, PictureFiles
from synthbench.types import LabelMap

__all__ = ["Gallery", "Shown", "gallery"]

MOST_PIXELS = 2**24
"""Pixels of the largest label map that is drawn."""
MOST_BYTES = 2**24


@dataclass(frozen=True)
class Shown:
    """An image of the gallery.

    Attributes
    ----------
    image, difference, real, arm : str
        Its identifier, the size of the difference in score, and the scores in the trainings that are shown.
    trainings : int
    gain : bool
    panes : tuple of (str, Picture)
        Captions and pictures: the image with true objects where it may be shown, the prediction after training on real
        images alone, and that of the arm. Empty where nothing could be drawn.
    """

    image: str
    difference: str
    real: str
    arm: str
    trainings: int
    gain: bool
    panes: tuple[tuple[str, Picture], ...]


@dataclass(frozen=True)
class Gallery:
    """The images of an arm, where it was tested, and why the images themselves aren't shown, if they aren't."""

    arm: str
    generator: str
    segmenter: str
    where: str
    entry: str
    without_images: str
    semantic: bool
    images: tuple[Shown, ...]


def gallery(
    entries: Sequence[Entry], iou: float | str, data: LocalData, pictures: PictureFiles, notes: list[str]
) -> list[Gallery]:
    """Return the images that arms change most, drawn.

    Parameters
    ----------
    entries
        Bundles that can be paired.
    iou
        Of the scores by which images are chosen.
    data
        Where images of the datasets are looked for.
    pictures
        Where pictures are kept.
    notes
        Gets a line for each prediction that can't be drawn.

    Raises
    ------
    DataError
        If an entry contradicts itself.
    """
    try:
        chosen = arm_examples(entries, iou)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{entries[0].path}: tables and trainings of this entry, or of one beside it, contradict each other "
            f"({error!r}); see 'synthbench board check'"
        ) from None
    with ExitStack() as stack:
        files = {entry.name: stack.enter_context(BundleFile(entry.path)) for entry in entries}
        return [_of_arm(each, files, data, pictures, notes) for each in chosen]


def _of_arm(
    found: ArmExamples,
    files: Mapping[str, BundleFile],
    data: LocalData,
    pictures: PictureFiles,
    notes: list[str],
) -> Gallery:
    contents = found.entry.contents
    local = data.find(contents, found.tested_on)
    where = f"{found.tested_on}, {found.fraction} real images"
    if found.tested_on != found.dataset:
        where = f"trained on {found.dataset} with {found.fraction} real images, tested on {found.tested_on}"
    images = []
    for example in found.examples:
        try:
            panes = _panes(found, example, files, data, pictures)
        except DataError as error:
            notes.append(f"{found.entry.name}: {error}")
            panes = ()
        images.append(
            Shown(
                example.image,
                f"{abs(example.difference):.3f}",
                f"{example.real:.3f}",
                f"{example.arm:.3f}",
                example.trainings,
                example.difference > 0,
                panes,
            )
        )
    semantic = contents.datasets[found.tested_on].task == "semantic"
    return Gallery(
        short(found.arm),
        found.generator,
        found.segmenter,
        where,
        found.entry.name,
        local.reason,
        semantic,
        tuple(images),
    )


def _panes(
    found: ArmExamples,
    example: Example,
    files: Mapping[str, BundleFile],
    data: LocalData,
    pictures: PictureFiles,
) -> tuple[tuple[str, Picture], ...]:
    contents = found.entry.contents
    task = contents.datasets[found.tested_on].task
    own = _prediction(found.entry, files, example.own, example.image)
    base = _prediction(example.baseline_entry, files, example.baseline, example.image)
    if own.shape != base.shape:
        raise DataError(f"predictions of {example.image!r} differ in size")
    sample = data.find(contents, found.tested_on).sample(contents, found.tested_on, example.image)
    drawn = draw_panes(base, own, task, *((sample.image, sample.labels) if sample else ()))
    named = (
        ("true objects", drawn.truth, "image with the outlines of the true objects"),
        ("real images alone", drawn.real, "prediction after training on real images alone"),
        (short(found.arm), drawn.arm, f"prediction after training on {found.arm}"),
    )
    return tuple(
        (caption, pictures.add(pixels, f"{example.image}: {what}"))
        for caption, pixels, what in named
        if pixels is not None
    )


def _prediction(entry: Entry, files: Mapping[str, BundleFile], row: Mapping[str, Any], image: str) -> LabelMap:
    samples = entry.contents.datasets[row["tested_on"]]
    known = samples.entries[samples.position(image)]
    name = layout.prediction_file(row["evaluate"], image)
    if known.height * known.width > MOST_PIXELS:
        raise DataError(f"{name}: {known.height}×{known.width} pixels are too many to be drawn")
    return decode_labels(files[entry.name].read(name, MOST_BYTES), (known.height, known.width), name)
