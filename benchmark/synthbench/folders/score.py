"""Scores of two folders of label maps, predicted and true, without any training."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.mask_statistics import MaskStatistics
from synthbench.datasets.pairs import MaskReader, ReadMask, pair_files
from synthbench.errors import DataError, SynthbenchError, join_problems
from synthbench.metrics.aggregated_jaccard import AggregatedJaccard, aji, aji_plus, per_image_aji, pooled_aji
from synthbench.metrics.ignore import leave_out
from synthbench.metrics.matching import (
    IOU_THRESHOLDS,
    PANOPTIC_IOU,
    MatchCounts,
    count_overlap,
    per_image,
    pooled,
    pooled_dice,
    quality,
    touching,
)
from synthbench.metrics.overlap import overlap
from synthbench.metrics.semantic import cldice, confusion, scores
from synthbench.processes.child import die_with_parent, start_tracker
from synthbench.processes.count import usable_processors
from synthbench.processes.signals import defer_signals
from synthbench.samples import check_ignore_value

MAX_CLASSES = 256
IMAGES_PER_WORKER = 32
"""A process takes about as long to start as to score this many images."""

SIGNALS_SPREAD = 0.2
"""Seconds within which a signal that is sent to all processes has reached them all."""

ProgressCallback = Callable[[int, int], None]
"""Called with (images done, images in all)."""
Result = TypeVar("Result")
OBJECTS, CLASSES = MaskReader(), MaskReader(semantic=True)
"""How masks are read unless they are told otherwise."""


def silent(done: int, total: int) -> None:
    """A `ProgressCallback` that says nothing."""


@dataclass(frozen=True, eq=False)
class ImageScore:
    """What one image contributes to the scores of a folder.

    Attributes
    ----------
    counts, panoptic : ImageCounts
        Matches at `IOU_THRESHOLDS`, and at more than 0.5.
    aji, aji_plus : AggregatedJaccard
        Of Kumar 2017, and its one-to-one variant.
    hard : bool
        Whether an instance of the true label map touches another (`synthbench.metrics.matching.touching`).
    ignored : int
        Pixels whose true label is unknown.
    """

    counts: MatchCounts
    panoptic: MatchCounts
    aji: AggregatedJaccard
    aji_plus: AggregatedJaccard
    hard: bool
    ignored: int = 0


def score_image(truth: np.ndarray, predicted: np.ndarray, ignore: np.ndarray | None = None) -> ImageScore:
    """Score one label map of instances against another.

    Parameters
    ----------
    truth, predicted
        ``(height, width)`` label maps of one shape, of any integer type, labels 0 (background) … 2³¹ − 1.
    ignore
        ``(height, width)`` bool: where the true label is unknown; see `synthbench.metrics.ignore.leave_out`.

    Returns
    -------
    ImageScore
        For `summary`.

    Raises
    ------
    ValueError
        If one isn't such a label map, or the shapes differ; the message names the argument.
    """
    if np.ndim(truth) != 2:
        raise ValueError(f"truth: shape {np.shape(truth)}; give one label map, (height, width)")
    truth, predicted = leave_out(truth, predicted, ignore)
    table = overlap(truth, predicted)
    return ImageScore(
        counts=count_overlap(table),
        panoptic=count_overlap(table, [PANOPTIC_IOU]),
        aji=aji(table),
        aji_plus=aji_plus(table),
        hard=touching(truth),
        ignored=0 if ignore is None else int(ignore.sum()),
    )


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
        Told what was done to the pixels.

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
    return _each(_score_files, reader, Path(predicted), Path(truth), report, workers, log)


def summary(scored: Mapping[str, ImageScore]) -> dict[str, Any]:
    """Sum up the scores of many images.

    Returns
    -------
    dict
        ``images`` how many; ``iou`` the thresholds; ``counts`` with ``tp``, ``fp``, ``fn`` summed over the images;
        ``pooled`` and ``per_image``, each with ``precision``, ``recall``, ``f1``, ``jaccard_ap``; ``dice`` of the
        foreground over the pixels of all images; ``mean_matched_iou``, ``panoptic`` (``sq``, ``rq`` and ``pq`` at
        IoU > 0.5), ``aji`` (Kumar 2017) and ``aji_plus``, each ``pooled`` and ``per_image``. Every list has one value
        per threshold. ``strata`` has the same again for the images that are ``easy`` and ``hard``, None where there
        are none.

    Raises
    ------
    ValueError
        If there are no images.
    """
    images = list(scored.values())
    if not images:
        raise ValueError("scored: there are no images")
    strata = {"easy": [one for one in images if not one.hard], "hard": [one for one in images if one.hard]}
    parts = {name: _figures(members) if members else None for name, members in strata.items()}
    return {**_figures(images), "strata": parts}


def _figures(images: Sequence[ImageScore]) -> dict[str, Any]:
    counts = [one.counts for one in images]
    panoptic = [one.panoptic for one in images]
    aggregated = {"aji": [one.aji for one in images], "aji_plus": [one.aji_plus for one in images]}
    ways = {"pooled": False, "per_image": True}
    return {
        "images": len(images),
        "iou": list(IOU_THRESHOLDS),
        "counts": {name: np.sum([getattr(c, name) for c in counts], axis=0).tolist() for name in ("tp", "fp", "fn")},
        "pooled": {name: values.tolist() for name, values in pooled(counts).items()},
        "per_image": {name: values.tolist() for name, values in per_image(counts).items()},
        "dice": pooled_dice(counts),
        "mean_matched_iou": {way: quality(counts, by_image=single)["sq"].tolist() for way, single in ways.items()},
        "panoptic": {
            way: {name: float(value[0]) for name, value in quality(panoptic, by_image=single).items()}
            for way, single in ways.items()
        },
        **{
            name: {"pooled": pooled_aji(parts), "per_image": per_image_aji(parts)} for name, parts in aggregated.items()
        },
    }


def confusions(
    predicted: str | Path,
    truth: str | Path,
    report: ProgressCallback = silent,
    workers: int | None = 1,
    reader: MaskReader = CLASSES,
    log: ImportLog | None = None,
) -> dict[str, tuple[np.ndarray, float]]:
    """Return the confusion matrix and the clDice of the foreground of each image by name.

    The matrices have as many classes as occur in either folder.
    """
    kept = _each(_confuse_files, reader, Path(predicted), Path(truth), report, workers, log)
    most = max(len(matrix) for matrix, _ in kept.values())
    return {name: (np.pad(matrix, (0, most - len(matrix))), line) for name, (matrix, line) in kept.items()}


def semantic_summary(images: Mapping[str, tuple[np.ndarray, float]]) -> dict[str, Any]:
    """Sum up the confusion matrices of many images.

    Returns
    -------
    dict
        ``images`` and ``classes``, how many (images that are ignored whole left out everywhere); ``pooled`` with
        ``iou`` and ``dice`` by class, and ``miou``,
        ``miou_star``, ``accuracy``; ``per_image`` with the means over images of ``miou``, ``miou_star``, ``accuracy``
        and, where there are two classes, ``cldice`` (images without foreground in truth and prediction left out).

    Raises
    ------
    DataError
        If every pixel is ignored.
    """
    matrices = [matrix for matrix, _ in images.values() if matrix.any()]
    if not matrices:
        raise DataError("every pixel is ignored: there is nothing to score; give another value to ignore")
    pooled_scores = scores(np.sum(matrices, axis=0))
    each = [scores(matrix) for matrix in matrices]
    means = {
        "miou": float(np.mean([s["miou"] for s in each])),
        "miou_star": float(np.mean([s["miou_star"] for s in each])),
        "accuracy": float(np.mean([s["accuracy"] for s in each])),
    }
    if len(matrices[0]) == 2:
        lines = [line for matrix, line in images.values() if matrix.sum() > matrix[0, 0]]
        means["cldice"] = float(np.mean(lines)) if lines else 0.0
    return {
        "images": len(matrices),
        "classes": len(matrices[0]),
        "pooled": {
            "iou": pooled_scores["iou"].tolist(),
            "dice": pooled_scores["dice"].tolist(),
            "miou": pooled_scores["miou"],
            "miou_star": pooled_scores["miou_star"],
            "accuracy": pooled_scores["accuracy"],
        },
        "per_image": means,
    }


@dataclass(frozen=True)
class PairResult(Generic[Result]):
    """What one pair of files gives: the result, what is seen of both masks, and what was done to their pixels."""

    result: Result
    true: MaskStatistics | None
    found: MaskStatistics | None
    told: Mapping[str, int]


def _score_files(reader: MaskReader, true_file: Path, found_file: Path) -> PairResult[ImageScore]:
    true, found, region = reader.read_pair(true_file, found_file)
    return _heard(score_image(true.labels, found.labels, region), true, found)


def _heard(result: Result, true: ReadMask, found: ReadMask) -> PairResult[Result]:
    return PairResult(result, true.statistics, found.statistics, Counter(true.changes) + Counter(found.changes))


def _confuse_files(reader: MaskReader, true_file: Path, found_file: Path) -> PairResult[tuple[np.ndarray, float]]:
    true_seen, found_seen, region = reader.read_pair(true_file, found_file)
    true, found = true_seen.labels, found_seen.labels
    if region is not None:
        true, found = np.where(region, 0, true), np.where(region, 0, found)
    classes = int(max(true.max(), found.max())) + 1
    if classes > MAX_CLASSES:
        raise DataError(
            f"{true_file.stem}: class {classes - 1}; these look like instances, score them without --semantic"
        )
    return _heard((confusion(true, found, classes, region), cldice(true, found, region)), true_seen, found_seen)


def _tried(
    work: Callable[[MaskReader, Path, Path], PairResult[Result]], reader: MaskReader, true_file: Path, found_file: Path
) -> PairResult[Result] | str:
    """Return the result for two files, or what is wrong with them, so that all of it can be told at once."""
    try:
        return work(reader, true_file, found_file)
    except DataError as error:
        return str(error)


def _each(
    work: Callable[[MaskReader, Path, Path], PairResult[Result]],
    reader: MaskReader,
    predicted: Path,
    truth: Path,
    report: ProgressCallback,
    workers: int | None,
    log: ImportLog | None,
) -> dict[str, Result]:
    """Return the result of `work` for each true file and its predicted one, by name; the masks are asked."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers: {workers}; give 1 or more")
    pairs = pair_files(predicted, truth)
    names = sorted(pairs)
    files = [pairs[name][0] for name in names], [pairs[name][1] for name in names]
    if workers is None:
        workers = min(usable_processors(), -(-len(names) // IMAGES_PER_WORKER))
    task = partial(_tried, work, reader)
    results = map(task, *files) if workers == 1 else _in_processes(task, files, min(workers, len(names)))
    report(0, len(names))
    heard: list[PairResult[Result]] = []
    problems: list[str] = []
    for done, result in enumerate(results, start=1):
        if isinstance(result, str):
            problems.append(result)
        else:
            heard.append(result)
        report(done, len(names))
    if problems:
        raise DataError(join_problems(problems, predicted))
    reader.check(
        [one.found for one in heard if one.found is not None],
        [one.true for one in heard if one.true is not None],
        predicted,
        truth,
    )
    if log is not None:
        for what, count in (pair for one in heard for pair in one.told.items()):
            log.count(what, count)
    return dict(zip(names, (one.result for one in heard), strict=True))


def _in_processes(
    work: Callable[[Path, Path], Result], files: tuple[list[Path], list[Path]], workers: int
) -> Iterator[Result]:
    """Yield the results in order. The first error in that order ends it, as it would in one process."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    start_tracker()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _attend_to_the_parent)
    try:
        with defer_signals():  # a process that begins reads from this one what it is to do
            waiting = [pool.submit(work, *pair) for pair in zip(*files, strict=True)][::-1]
        while waiting:
            yield waiting.pop().result()
    except BrokenProcessPool:
        time.sleep(SIGNALS_SPREAD)
        raise SynthbenchError(
            "a process that scored images died, perhaps for want of memory; try --workers 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _attend_to_the_parent() -> None:
    """Leave Ctrl-C to the parent, and die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
