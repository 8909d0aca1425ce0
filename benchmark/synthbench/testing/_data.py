"""Small annotated pictures, drawn from a seed: enough to try a plugin on, in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.samples import Sample, SampleSet, Task

__all__ = ["CLASSES", "discs", "inverted", "partly_unknown"]

CLASSES = ("background", "disc", "core")
"""Classes of the semantic pictures, each brighter than the one before."""

_LIGHT = (0.1, 0.5, 0.85)
_TOP = {"uint8": 255, "uint16": 4095}


def discs(
    count: int = 6,
    *,
    size: int | tuple[int, int] = 64,
    objects: int = 6,
    seed: int = 0,
    channels: int = 1,
    dtype: str = "uint8",
    task: Task = "instances",
) -> SampleSet:
    """Draw pictures of bright discs with brighter cores on a dark ground, some touching, with read noise.

    Parameters
    ----------
    count
        Number of pictures.
    size
        Height and width in pixels; one number for a square.
    objects
        Discs per picture; where one is hidden by others there are fewer. With 0 a picture is all background.
    seed
        Picture i depends on ``(seed, i)`` alone.
    channels
        1 for grey, 3 for RGB. 2 and 4 for stains: the discs, and their rims, their cores, and what is around them, each
        with read noise of its own.
    dtype
        ``"uint8"``, or ``"uint16"`` as from a 12-bit camera: the values stay below 4,096.
    task
        ``"instances"``: one label per disc, 1 … n without gaps. ``"semantic"``: the classes `CLASSES`.

    Returns
    -------
    SampleSet
        In memory; the ids are ``discs-0``, ``discs-1`` and so on.
    """
    height, width = (size, size) if isinstance(size, int) else size
    samples = [
        Sample(
            f"discs-{i}", *_picture(np.random.default_rng((seed, 71, i)), height, width, objects, channels, dtype, task)
        )
        for i in range(count)
    ]
    return SampleSet.of(samples, name="discs", task=task, classes=CLASSES if task == "semantic" else ())


def inverted(samples: SampleSet) -> SampleSet:
    """Return samples that look otherwise: dark where they were bright, and upside down."""
    turned = [
        Sample(f"{s.id}-i", np.ascontiguousarray(s.image.max() - s.image[::-1]), np.ascontiguousarray(s.labels[::-1]))
        for s in samples
    ]
    return SampleSet.of(turned, name=f"{samples.name}-inverted", task=samples.task, classes=samples.classes)


def partly_unknown(samples: SampleSet) -> tuple[SampleSet, SampleSet]:
    """Return samples of which much has no known label, and the same with background there instead.

    Unknown are the right halves, and the whole of the first sample.
    """
    unknown, background = [], []
    for position, sample in enumerate(samples):
        region = np.ones(sample.labels.shape, bool)
        region[:, : region.shape[1] // 2] = position == 0
        labels = np.where(region, 0, sample.labels)
        if samples.task == "instances":
            labels = np.searchsorted(np.union1d(labels, [0]), labels)
        unknown.append(replace(sample, labels=labels, ignore=region))
        background.append(replace(unknown[-1], ignore=None))
    first, second = (
        SampleSet.of(part, name=samples.name, task=samples.task, classes=samples.classes)
        for part in (unknown, background)
    )
    return first, second


def _picture(
    rng: np.random.Generator, height: int, width: int, objects: int, channels: int, dtype: str, task: Task
) -> tuple[NDArray[Any], NDArray[Any]]:
    rows, columns = np.mgrid[:height, :width]
    small = min(height, width)
    labels = np.zeros((height, width), np.uint16)
    classes = np.zeros((height, width), np.uint8)
    for label in range(1, objects + 1):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.07, 0.13) * small
        distance = np.hypot(rows - y, columns - x)
        free = labels == 0
        labels[free & (distance < radius)] = label
        classes[free & (distance < radius)] = 1
        classes[free & (distance < radius / 2)] = 2
    light = np.choose(classes, _LIGHT) + 0.03 * rng.standard_normal((height, width))
    if channels == 3:
        light = light[..., None] * np.array([1.0, 0.6, 0.8])
    elif channels > 1:
        stains = np.stack([0.1 + 0.7 * (classes == 1), 0.1 + 0.7 * (classes == 2), 0.2 + 0.5 * (classes == 0)], axis=-1)
        noise = np.moveaxis(rng.standard_normal((channels - 1, height, width)), 0, -1)
        noisy = stains[..., : channels - 1] + 0.03 * noise
        light = np.concatenate([light[..., None], noisy], axis=-1)
    labels = np.searchsorted(np.union1d(labels, [0]), labels).astype(np.uint16)
    image = (np.clip(light, 0, 1) * _TOP[dtype]).astype(dtype)
    return image, classes if task == "semantic" else labels
