"""A folder of images with masks as a sample set, in an order that its content determines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from synthbench import Context, Sample, SampleSet
from synthbench.datasets.copies import same_content
from synthbench.datasets.library import open_dataset
from synthbench.datasets.unlabelled import labelled_samples
from synthbench.errors import ConfigError, DataError, SynthbenchError
from synthbench.samples import MASK, ORIGINS, Task
from synthbench.types import LabelMap
from synthbench_ready_made.config import ReadyMadeConfig

__all__ = ["check_distinct", "open_folder", "ordered_samples"]

_OPTIONS = {
    "--components": "components: true",
    "--trust-masks": "trust_masks: true",
    "--task semantic": "a dataset of task semantic",
    "--ignore": "ignore:",
    "--white": "white:",
}
"""Options of ``synthbench dataset add`` as keys of the configuration."""


def open_folder(
    path: str, config: ReadyMadeConfig, task: Task, classes: Sequence[str], context: Context
) -> tuple[SampleSet, Path]:
    """Return the samples in a folder, and the folder of their sample set.

    Parameters
    ----------
    path
        Images with masks in any layout that can be imported, or a sample set.
    config
    task, classes
        What the masks hold.
    context
        The sample set is kept in its folder that other layouts are imported into.

    Raises
    ------
    DataError
        If there are no images with masks, or some can't be used: the message names the files.
    """
    try:
        samples, at = open_dataset(
            path,
            context.folder,
            task=task,
            classes=classes,
            components=config.components,
            ignore=config.ignore,
            white=config.white,
            trusted=config.trust_masks,
            progress=context.progress,
        )
    except SynthbenchError as error:
        text = str(error)
        for option, key in _OPTIONS.items():
            text = text.replace(option, key)
        raise type(error)(text) from None
    annotated = labelled_samples(samples)
    if not annotated:
        raise DataError(f"{path}: contains no images with masks")
    return annotated, at


def check_distinct(paths: Sequence[str], sets: Sequence[SampleSet]) -> None:
    """Raise `ConfigError` if two folders hold the same images with the same masks: they aren't two generator seeds."""
    for (first, one), (second, other) in combinations(zip(paths, sets, strict=True), 2):
        if same_content(one, other):
            raise ConfigError(
                f"path: {first} and {second} hold the same images and masks, so they aren't two generator seeds; "
                "leave one of them out"
            )


def ordered_samples(samples: SampleSet, *, rgb: bool) -> Iterator[Sample]:
    """Yield the samples as they are drawn: in the order of the hashes of their pixels and labels.

    The order is thus the same wherever the folder is and however its files are called, and the first hundred are as
    mixed as all of them. Instances are numbered 1 … n. Of the groups remains ``mask``, where it is one of `ORIGINS`,
    and the name of the image, as ``source``.

    Parameters
    ----------
    samples
    rgb
        Whether a grey image gets three equal channels.
    """
    ranked = sorted((_content(sample), sample.id) for sample in samples)
    for number, (_, name) in enumerate(ranked):
        sample = samples[name]
        image = sample.image
        if image.ndim == 2 and rgb:
            image = np.repeat(image[..., None], 3, axis=2)
        labels = _numbered(sample.labels) if samples.task == "instances" else sample.labels
        origin = sample.groups.get(MASK, "")
        groups = {"source": sample.id, **({MASK: origin} if origin in ORIGINS else {})}
        yield replace(sample, id=f"{number:06d}", image=image, labels=labels, groups=groups)


def _content(sample: Sample) -> str:
    """Return the SHA-256 of a sample's pixels, labels and ignore region."""
    same_name = replace(sample, id="any", groups={})
    return hashlib.sha256(same_name.digest.encode()).hexdigest()


def _numbered(labels: LabelMap) -> LabelMap:
    """Return a label map with its objects, as they are, numbered 1 … n without gaps."""
    values = np.unique(labels[labels > 0])
    numbered: LabelMap = np.where(labels > 0, np.searchsorted(values, labels) + 1, 0)
    return numbered
