"""Scores of two folders of label maps, predicted and true, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pairs import MaskReader
from synthbench.errors import DataError
from synthbench.folders._image_scores import ImageScore, score_image, semantic_summary, summary
from synthbench.folders._pairs import PairResult, ProgressCallback, pair_result, score_pairs
from synthbench.metrics.semantic import cldice, confusion
from synthbench.samples import check_ignore_value
from synthbench.types import AnyArray

__all__ = [
    "ImageScore",
    "ProgressCallback",
    "confusions",
    "match_folders",
    "score_folders",
    "score_image",
    "semantic_summary",
    "silent",
    "summary",
]

MAX_CLASSES = 256
OBJECTS, CLASSES = MaskReader(), MaskReader(semantic=True)
"""How masks are read by default."""


def silent(done: int, total: int) -> None:
    """A `ProgressCallback` that does nothing."""


def score_folders(
    predicted: str | Path,
    truth: str | Path,
    *,
    semantic: bool = False,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    ignore: int | None = None,
    components: bool = False,
    trusted: bool = False,
    log: ImportLog | None = None,
) -> dict[str, Any]:
    """Score every label map of a folder against the one of the same name in another.

    Parameters
    ----------
    predicted, truth
        Folders of png or tif label maps, one per image; names are compared without their endings.
    semantic
        Labels are classes rather than instances.
    report
        Progress.
    workers
        Processes that read and score; None for one per processor, as far as there are images enough to keep them
        busy. The result is the same whatever their number. With more than one, a script that calls this needs
        ``if __name__ == "__main__":``.
    ignore
        What the true label maps hold where the label is unknown. These pixels are left out of both, classes pixel by
        pixel, instances as `synthbench.metrics.ignore.leave_out` says.
    components
        Each connected piece of a label is an instance of its own: for binary masks.
    trusted
        The masks are what they are said to be: no question is asked.
    log
        Called with a line on what was done to the pixels.

    Returns
    -------
    dict
        What `summary`, or `semantic_summary`, returns: plain numbers and lists, ready for JSON.

    Raises
    ------
    DataError
        If a folder can't be read, the two don't match by name or by shape, or files are no label maps, or the masks of
        a folder aren't what they are said to be (`synthbench.datasets.mask_checks`); names the file.
        If all pixels of a semantic set are ignored.
    ConfigError
        If the background of instances shall be ignored.
    ValueError
        If `workers` is below 1.
    """
    if semantic:
        reader = MaskReader(semantic=True, ignore=ignore, trusted=trusted)
        return semantic_summary(confusions(predicted, truth, report, workers, reader, log))
    reader = MaskReader(ignore=ignore, components=components, trusted=trusted)
    return summary(match_folders(predicted, truth, report, workers, reader, log))


def match_folders(
    predicted: str | Path,
    truth: str | Path,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    reader: MaskReader = OBJECTS,
    log: ImportLog | None = None,
) -> dict[str, ImageScore]:
    """Score the instances of two folders, as `score_folders` does; return the score of each image by name."""
    check_ignore_value(reader.ignore, "instances")
    return score_pairs(_score_files, reader, Path(predicted), Path(truth), report, workers, log)


def confusions(
    predicted: str | Path,
    truth: str | Path,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    reader: MaskReader = CLASSES,
    log: ImportLog | None = None,
) -> dict[str, tuple[AnyArray, float]]:
    """Return the confusion matrix and the foreground clDice of each image by name.

    The matrices have as many classes as occur in either folder.
    """
    kept = score_pairs(_confuse_files, reader, Path(predicted), Path(truth), report, workers, log)
    most = max(len(matrix) for matrix, _ in kept.values())
    return {name: (np.pad(matrix, (0, most - len(matrix))), line) for name, (matrix, line) in kept.items()}


def _score_files(reader: MaskReader, true_file: Path, predicted_file: Path) -> PairResult[ImageScore]:
    true, predicted, region = reader.read_pair(true_file, predicted_file)
    return pair_result(score_image(true.labels, predicted.labels, region), true, predicted)


def _confuse_files(reader: MaskReader, true_file: Path, predicted_file: Path) -> PairResult[tuple[AnyArray, float]]:
    true_mask, predicted_mask, region = reader.read_pair(true_file, predicted_file)
    true, predicted = true_mask.labels, predicted_mask.labels
    if region is not None:
        true, predicted = np.where(region, 0, true), np.where(region, 0, predicted)
    classes = int(max(true.max(), predicted.max())) + 1
    if classes > MAX_CLASSES:
        raise DataError(
            f"{true_file.stem}: class {classes - 1}; these seem to be instances; score them without --semantic"
        )
    return pair_result(
        (confusion(true, predicted, classes, region), cldice(true, predicted, region)), true_mask, predicted_mask
    )
