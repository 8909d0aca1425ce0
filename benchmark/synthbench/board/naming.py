"""A dataset under the names that a board has for it: the same images and labels, from a folder that names them else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from synthbench.board.opening import described_data
from synthbench.errors import ConfigError, DataError, join_names
from synthbench.plugin.api import Progress, silent
from synthbench.samples import Entry, Sample, SampleSet

__all__ = ["write_named"]


def write_named(
    board: str | Path, title: str, samples: SampleSet, folder: Path, progress: Progress = silent
) -> SampleSet:
    """Write the images of a board that a dataset has, with the board's identifiers, groups and order.

    An image is the board's if its digest is, once it has the board's identifier and groups: pixels, labels and ignore
    region are the same. Images that aren't on the board are left out.

    Parameters
    ----------
    board
        Its folder, or its ``board.yaml``.
    title
        What the board calls the dataset.
    samples
        The dataset, under any names.
    folder
        The sample set that is written; it must not exist.
    progress
        Called after each image of `samples`.

    Returns
    -------
    SampleSet
        Its fingerprint is that of the board's dataset.

    Raises
    ------
    ConfigError
        If the board has no dataset of this name, or can't be read.
    DataError
        If an image of the board is missing, task or classes are others, or the folder can't be written; nothing is
        written then.
    """
    datasets = described_data(board)
    if title not in datasets:
        raise ConfigError(f"{title}: no dataset of the board {board}, which is on {join_names(datasets)}")
    expected = datasets[title]
    if (samples.task, samples.classes) != (expected.task, expected.classes):
        raise DataError(f"{samples.name}: is for {_kind(samples)}, and {title!r} of the board for {_kind(expected)}")
    found = _found(expected, samples, progress)
    if missing := [name for name in expected.ids if name not in found]:
        raise DataError(
            f"{samples.name}: lacks {len(missing)} of the {len(expected)} images of {title!r} of the board: "
            f"{join_names(missing)}; they aren't there, or their pixels or labels are others"
        )

    def named() -> Iterator[Sample]:
        for entry in expected.entries:
            yield _as(entry, samples[found[entry.id]])

    return SampleSet.write(folder, named(), name=title, task=expected.task, classes=expected.classes, info=samples.info)


def _found(expected: SampleSet, samples: SampleSet, progress: Progress) -> dict[str, str]:
    """Return which sample each of the board's is; those that aren't there are left out."""
    wanted: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in expected.entries:
        wanted[_looks(entry)].append(entry)
    found = {}
    for done, entry in enumerate(samples.entries, 1):
        candidates = wanted[_looks(entry)]
        if candidates:
            sample = samples[entry.id]
            same = next((each for each in candidates if _as(each, sample).digest == each.digest), None)
            if same is not None:
                candidates.remove(same)
                found[same.id] = entry.id
        progress(done, len(samples), entry.id)
    return found


def _looks(entry: Entry) -> tuple[object, ...]:
    """Return what two samples have in common if their pixels are the same."""
    return entry.height, entry.width, entry.channels, entry.dtype, entry.objects


def _as(entry: Entry, sample: Sample) -> Sample:
    return replace(sample, id=entry.id, groups=entry.groups)


def _kind(samples: SampleSet) -> str:
    return f"{samples.task} ({', '.join(samples.classes)})" if samples.classes else samples.task
