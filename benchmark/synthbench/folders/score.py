"""Scores of label maps, predicted and true, in two folders or as arrays, without any training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pairs import MaskReader, ReadMask
from synthbench.errors import ConfigError, DataError
from synthbench.folders._image_scores import ImageScore, score_image, semantic_summary, summary
from synthbench.folders._pairs import PairResult, ProgressCallback, pair_result, score_arrays, score_pairs
from synthbench.metrics.border import BorderObjects
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
    "score_masks",
    "semantic_summary",
    "silent",
    "summary",
]

MAX_CLASSES = 256
OBJECTS, CLASSES = MaskReader(), MaskReader(semantic=True)
"""How masks are read by default."""


def silent(done: int, total: int) -> None:
    """A `ProgressCallback` that does nothing."""


def score_masks(
    predicted: str | os.PathLike[str] | AnyArray | Sequence[AnyArray],
    truth: str | os.PathLike[str] | AnyArray | Sequence[AnyArray],
    *,
    semantic: bool = False,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    ignore: int | None = None,
    components: bool = False,
    trusted: bool = False,
    border_objects: BorderObjects = "include",
    log: ImportLog | None = None,
) -> dict[str, Any]:
    """Score predicted label maps against the true ones.

    Parameters
    ----------
    predicted, truth
        Two folders of PNG or TIFF label maps with the same names; or two lists of label maps in the same order, each
        ``(height, width)`` of integers, or of bool; or two single label maps.
    semantic, report, ignore, components, trusted, border_objects, log
        As for `synthbench.folders.score.score_folders`; by default labels are instances.
    workers
        Processes that score files; arrays are scored in this process. None for one per processor.

    Returns
    -------
    dict
        Numbers and lists that can be written as JSON. ``pooled`` and ``per_image`` contain, for instances,
        ``precision``, ``recall``, ``f1`` and ``jaccard_ap`` at each of the thresholds in ``iou``.

    Raises
    ------
    DataError
        If label maps can't be read, don't match in number, name or size, or aren't label maps of this kind.
    ConfigError
        If the arguments are neither two folders nor two lists of arrays, or the background of instances would be
        ignored.
    """
    if isinstance(predicted, str | os.PathLike) and isinstance(truth, str | os.PathLike):
        return score_folders(
            Path(predicted),
            Path(truth),
            semantic=semantic,
            report=report,
            workers=workers,
            ignore=ignore,
            components=components,
            trusted=trusted,
            border_objects=border_objects,
            log=log,
        )
    _check_border_objects(border_objects, semantic)
    pairs = _array_pairs(predicted, truth)
    if semantic:
        reader = MaskReader(semantic=True, ignore=ignore, trusted=trusted)
        return semantic_summary(_of_equal_size(score_arrays(_confuse_arrays, reader, pairs, report, log)))
    check_ignore_value(ignore, "instances")
    reader = MaskReader(ignore=ignore, components=components, trusted=trusted)
    work = partial(_score_arrays, border_objects=border_objects)
    return summary(score_arrays(work, reader, pairs, report, log))


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
    border_objects: BorderObjects = "include",
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
    border_objects
        ``"exclude"``: leave out true and predicted instances at the image border, as
        `synthbench.metrics.border.without_border_objects` says; not for classes.
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
        If the background of instances shall be ignored, or `border_objects` is neither word, or excludes objects where
        there are classes.
    ValueError
        If `workers` is below 1.
    """
    _check_border_objects(border_objects, semantic)
    if semantic:
        reader = MaskReader(semantic=True, ignore=ignore, trusted=trusted)
        return semantic_summary(confusions(predicted, truth, report, workers, reader, log))
    reader = MaskReader(ignore=ignore, components=components, trusted=trusted)
    return summary(match_folders(predicted, truth, report, workers, reader, log, border_objects))


def match_folders(
    predicted: str | Path,
    truth: str | Path,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    reader: MaskReader = OBJECTS,
    log: ImportLog | None = None,
    border_objects: BorderObjects = "include",
) -> dict[str, ImageScore]:
    """Score the instances of two folders, as `score_folders` does; return the score of each image by name."""
    check_ignore_value(reader.ignore, "instances")
    work = partial(_score_files, border_objects=border_objects)
    return score_pairs(work, reader, Path(predicted), Path(truth), report, workers, log)


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
    return _of_equal_size(score_pairs(_confuse_files, reader, Path(predicted), Path(truth), report, workers, log))


def _of_equal_size(images: Mapping[str, tuple[AnyArray, float]]) -> dict[str, tuple[AnyArray, float]]:
    """Pad confusion matrices to the classes that occur in any image."""
    most = max(len(matrix) for matrix, _ in images.values())
    return {name: (np.pad(matrix, (0, most - len(matrix))), line) for name, (matrix, line) in images.items()}


def _array_pairs(predicted: Any, truth: Any) -> list[tuple[AnyArray, AnyArray]]:
    """Return pairs of a predicted and a true array; a single label map is a list of one."""
    sides = []
    for name, masks in (("predicted", predicted), ("truth", truth)):
        each = [masks] if getattr(masks, "ndim", None) == 2 else masks
        if not isinstance(each, list | tuple | np.ndarray) or not all(isinstance(mask, np.ndarray) for mask in each):
            raise ConfigError(
                f"{name}: {type(masks).__name__}; expected predicted and truth to be two folders of label maps, or two "
                "lists of arrays (height, width)"
            )
        sides.append(list(each))
    if len(sides[0]) != len(sides[1]):
        raise DataError(f"predicted has {len(sides[0])} label maps, and truth {len(sides[1])}; each needs its pair")
    if not sides[0]:
        raise DataError("predicted is empty; expected at least one label map")
    return list(zip(*sides, strict=True))


def _check_border_objects(border_objects: str, semantic: bool) -> None:
    """Raise `ConfigError` if the word isn't known, or there are no objects."""
    if border_objects not in get_args(BorderObjects):
        raise ConfigError(f"border_objects: {border_objects!r}; expected include or exclude")
    if semantic and border_objects == "exclude":
        raise ConfigError("border_objects: exclude leaves out objects, and a semantic task has classes; remove one")


def _score_files(
    reader: MaskReader, true_file: Path, predicted_file: Path, *, border_objects: BorderObjects
) -> PairResult[ImageScore]:
    return _score(*reader.read_pair(true_file, predicted_file), border_objects)


def _score_arrays(
    reader: MaskReader, name: str, true: AnyArray, predicted: AnyArray, *, border_objects: BorderObjects
) -> PairResult[ImageScore]:
    return _score(*reader.take_pair(true, predicted, f"truth[{name}]", f"predicted[{name}]"), border_objects)


def _score(
    true: ReadMask, predicted: ReadMask, region: AnyArray | None, border_objects: BorderObjects
) -> PairResult[ImageScore]:
    return pair_result(score_image(true.labels, predicted.labels, region, border_objects), true, predicted)


def _confuse_files(reader: MaskReader, true_file: Path, predicted_file: Path) -> PairResult[tuple[AnyArray, float]]:
    return _confuse(true_file.stem, *reader.read_pair(true_file, predicted_file))


def _confuse_arrays(
    reader: MaskReader, name: str, true: AnyArray, predicted: AnyArray
) -> PairResult[tuple[AnyArray, float]]:
    where = f"truth[{name}]"
    return _confuse(where, *reader.take_pair(true, predicted, where, f"predicted[{name}]"))


def _confuse(
    name: str, true_mask: ReadMask, predicted_mask: ReadMask, region: AnyArray | None
) -> PairResult[tuple[AnyArray, float]]:
    true, predicted = true_mask.labels, predicted_mask.labels
    if region is not None:
        true, predicted = np.where(region, 0, true), np.where(region, 0, predicted)
    classes = int(max(true.max(), predicted.max())) + 1
    if classes > MAX_CLASSES:
        raise DataError(f"{name}: class {classes - 1}; these seem to be instances; score them without --semantic")
    return pair_result(
        (confusion(true, predicted, classes, region), cldice(true, predicted, region)), true_mask, predicted_mask
    )
