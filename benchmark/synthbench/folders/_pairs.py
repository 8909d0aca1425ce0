"""Scoring pairs of files, in this process or in several, and pairs of arrays."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.mask_statistics import MaskStatistics
from synthbench.datasets.pairs import MaskReader, ReadMask, pair_files
from synthbench.errors import DataError, SynthbenchError, join_problems
from synthbench.processes.child import die_with_parent, start_tracker
from synthbench.processes.count import usable_processors
from synthbench.processes.signals import defer_signals
from synthbench.types import AnyArray

IMAGES_PER_WORKER = 32
"""A process takes about as long to start as to score this many images."""
SIGNALS_SPREAD = 0.2
"""Seconds within which a signal that is sent to all processes has reached them all."""

ProgressCallback = Callable[[int, int], None]
"""Called with (images done, images in all)."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class PairResult(Generic[Result]):
    """Result of a pair of files, the statistics of both masks, and what was done to their pixels."""

    result: Result
    true: MaskStatistics | None
    predicted: MaskStatistics | None
    changes: Mapping[str, int]


def pair_result(result: Result, true: ReadMask, predicted: ReadMask) -> PairResult[Result]:
    """Return a result with the statistics and changes of both masks."""
    return PairResult(result, true.statistics, predicted.statistics, Counter(true.changes) + Counter(predicted.changes))


def _try_pair(
    work: Callable[[MaskReader, Path, Path], PairResult[Result]],
    reader: MaskReader,
    true_file: Path,
    predicted_file: Path,
) -> PairResult[Result] | str:
    """Return the result for two files, or the message of their error, so that all errors can be reported at once."""
    try:
        return work(reader, true_file, predicted_file)
    except DataError as error:
        return str(error)


def score_pairs(
    work: Callable[[MaskReader, Path, Path], PairResult[Result]],
    reader: MaskReader,
    predicted: Path,
    truth: Path,
    report: ProgressCallback,
    workers: int | None,
    log: ImportLog | None,
) -> dict[str, Result]:
    """Return the result of `work` for each pair of a true and a predicted file, by name, and check the masks.

    Raises
    ------
    DataError
        If files can't be paired or used, or the masks of a folder can't be what they are said to be.
    ValueError
        If `workers` is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: {workers}; expected an integer ≥ 1")
    pairs = pair_files(predicted, truth)
    names = sorted(pairs)
    files = [pairs[name][0] for name in names], [pairs[name][1] for name in names]
    if workers is None:
        workers = min(usable_processors(), -(-len(names) // IMAGES_PER_WORKER))
    task = partial(_try_pair, work, reader)
    results = map(task, *files) if workers == 1 else _in_processes(task, files, min(workers, len(names)))
    report(0, len(names))
    pair_results: list[PairResult[Result]] = []
    problems: list[str] = []
    for done, result in enumerate(results, start=1):
        if isinstance(result, str):
            problems.append(result)
        else:
            pair_results.append(result)
        report(done, len(names))
    if problems:
        folders = [folder for folder in (predicted, truth) if any(f"{folder}{os.sep}" in text for text in problems)]
        raise DataError(join_problems(problems, " and ".join(map(str, folders)) or predicted))
    return _checked(dict(zip(names, pair_results, strict=True)), reader, predicted, truth, log)


def score_arrays(
    work: Callable[[MaskReader, str, AnyArray, AnyArray], PairResult[Result]],
    reader: MaskReader,
    pairs: Sequence[tuple[AnyArray, AnyArray]],
    report: ProgressCallback,
    log: ImportLog | None,
) -> dict[str, Result]:
    """Return the result of `work` for each pair of a predicted and a true array, by position, and check the masks.

    Raises
    ------
    DataError
        If arrays can't be used, or all masks of a side can't be what they are said to be.
    """
    report(0, len(pairs))
    pair_results = {}
    for number, (predicted, true) in enumerate(pairs):
        pair_results[str(number)] = work(reader, str(number), true, predicted)
        report(number + 1, len(pairs))
    return _checked(pair_results, reader, Path("predicted"), Path("truth"), log)


def _checked(
    pair_results: Mapping[str, PairResult[Result]],
    reader: MaskReader,
    predicted: Path,
    truth: Path,
    log: ImportLog | None,
) -> dict[str, Result]:
    """Check all masks of each side together, log what was done to them, and return the results by name."""
    reader.check(
        [one.predicted for one in pair_results.values() if one.predicted is not None],
        [one.true for one in pair_results.values() if one.true is not None],
        predicted,
        truth,
    )
    if log is not None:
        for action, number in (change for one in pair_results.values() for change in one.changes.items()):
            log.count(action, number)
    return {name: one.result for name, one in pair_results.items()}


def _in_processes(
    work: Callable[[Path, Path], Result], files: tuple[list[Path], list[Path]], workers: int
) -> Iterator[Result]:
    """Yield the results in order. The first error in that order ends it, as it would in one process."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    start_tracker()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _initialise_worker)
    try:
        with defer_signals():  # a starting process reads its task from this one
            waiting = [pool.submit(work, *pair) for pair in zip(*files, strict=True)][::-1]
        while waiting:
            yield waiting.pop().result()
    except BrokenProcessPool:
        time.sleep(SIGNALS_SPREAD)
        raise SynthbenchError("a scoring process died, perhaps because it ran out of memory; try --workers 1") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _initialise_worker() -> None:
    """Leave Ctrl-C to the parent process, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
