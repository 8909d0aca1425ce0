"""Predictions of a trained segmenter for a folder of images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.engine.tasks.evaluate import at_size, checked
from synthbench.errors import ConfigError, DataError, PluginError, join_problems
from synthbench.formats.predictions import PredictionWriter, check_prediction_forms
from synthbench.inference._unfinished import UnfinishedPredictions
from synthbench.inference.choosing import ChosenSegmenter
from synthbench.inference.images import find_images
from synthbench.inference.tiling import OVERLAP, TILE, predict_in_tiles
from synthbench.inference.trained import Trained, plugin_errors
from synthbench.io.new_folder import check_new_folder, new_folder
from synthbench.plugin.api import Instances, Progress, silent
from synthbench.samples import Sample, Task
from synthbench.study.scaling import resize_image, scaled_shape
from synthbench.types import Image
from synthbench.version import __version__

__all__ = ["Predicted", "predict_folder", "predict_image"]

SMALLEST_TILE = 128


@dataclass(frozen=True)
class Predicted:
    """A folder of predictions.

    Attributes
    ----------
    folder : Path
    about : mapping
        What ``about.json`` in the folder says.
    notes : tuple of str
        What the user should know, a sentence each.
    skipped : int
        Images that couldn't be segmented.
    """

    folder: Path
    about: Mapping[str, Any]
    notes: tuple[str, ...]
    skipped: int


def predict_image(
    trained: Trained,
    segmenter: Any,
    image: Image,
    task: Task = "instances",
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> Instances:
    """Segment an image: scaled as the training images were, in tiles where it is large, and at its own size.

    Parameters
    ----------
    trained
    segmenter
        As `Trained.loaded` yields it.
    image
        ``(height, width[, channels])``, uint8 or uint16.
    task
        Of the training.
    tile, overlap
        In pixels of the scaled image.
    """

    def predict(part: Image) -> Instances:
        with plugin_errors("segmenter", trained.plugin):
            answer = segmenter.predict(part)
        blank = np.broadcast_to(np.uint8(0), part.shape[:2])
        return checked(answer, Sample("image", np.asarray(part), blank))

    scaled = image if trained.factor == 1 else resize_image(image, scaled_shape(image.shape, trained.factor))
    return at_size(predict_in_tiles(predict, scaled, task, tile=tile, overlap=overlap), image.shape[:2], task)


def predict_folder(
    chosen: ChosenSegmenter,
    images: Path,
    out: Path,
    *,
    forms: Sequence[str] = ("labels", "overlay"),
    tile: int = TILE,
    overlap: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = silent,
) -> Predicted:
    """Segment the images of a folder; the predictions appear when all are written.

    When it is stopped, what was segmented is kept, and the same call goes on from there.

    Parameters
    ----------
    chosen
    images
        A folder, or one file.
    out
        Doesn't exist, or is empty.
    forms
        Some of `synthbench.formats.predictions.PREDICTION_FORMS`.
    tile
        Images with a longer side are segmented in tiles of this side, in pixels.
    overlap
        Smallest overlap of the tiles in pixels; by default an eighth of a tile.
    device, threads
    progress

    Raises
    ------
    SynthbenchError
        If no image can be segmented, or nothing can be written, in one line; `out` doesn't appear then.
    """
    check_prediction_forms(forms)
    overlap = tile // 8 if overlap is None else overlap
    if tile < SMALLEST_TILE:
        raise ConfigError(f"--tile {tile}: expected {SMALLEST_TILE} pixels or more")
    if not 0 < overlap <= tile // 2:
        raise ConfigError(f"--overlap {overlap}: expected 1 to {tile // 2} pixels, half of a tile")
    check_new_folder(out)
    found, trained = find_images(images), chosen.trained
    task, classes = trained.task, trained.classes
    problems: list[str] = []
    counts: dict[str, int] = {}
    settings = {"synthbench": __version__, "key": trained.key, "tile": tile, "overlap": overlap, "device": device}
    unfinished = UnfinishedPredictions(out, settings)
    with trained.loaded(device, threads) as segmenter, new_folder(out) as folder:
        writer = PredictionWriter(folder, forms, task, classes)
        for done, (name, file) in enumerate(found.files.items(), 1):
            try:
                image = found.read(name)
                kept = unfinished.get(image)
                answer = kept or predict_image(trained, segmenter, image, task, tile=tile, overlap=overlap)
            except (DataError, PluginError, ValueError, MemoryError) as error:
                text = str(error) or type(error).__name__
                problems.append(text if str(file) in text else f"{file}: {text}")
                progress(done, len(found.files), f"{name}: skipped")
                continue
            if kept is None:
                unfinished.put(image, answer)
            writer.add(name, file.name, image, answer.labels, answer.scores)
            counts[file.name] = int(np.count_nonzero(np.bincount(answer.labels.ravel())[1:]))
            progress(done, len(found.files), name)
        if not counts:
            raise DataError(f"no image can be segmented: {join_problems(problems, found.path)}")
        notes = (
            *chosen.notes,
            *trained.notes,
            *found.log.lines(),
            *([f"skipped {len(problems)} of the images: {join_problems(problems, found.path)}"] if problems else []),
        )
        about = {
            "synthbench": __version__,
            "segmenter": trained.plugin,
            "training": trained.label,
            "key": trained.key,
            "scaled_by": trained.factor,
            "tile": tile,
            "overlap": overlap,
            "validation": dict(chosen.validation),
            "images": len(counts),
            "objects" if task == "instances" else "classes_found": counts,
            "skipped": problems,
            "notes": list(notes),
        }
        writer.close(about)
    unfinished.remove()
    return Predicted(out, about, notes, len(problems))
