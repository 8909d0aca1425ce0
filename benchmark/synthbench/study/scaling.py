"""Samples at another scale: images are averaged over areas or interpolated, label maps take their nearest pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

import numpy as np

from synthbench.samples.entries import Entry, Loader
from synthbench.samples.sample import Sample
from synthbench.samples.sample_set import SampleSet
from synthbench.types import AnyArray, FloatArray, Image, IntArray, LabelMap

__all__ = [
    "resize_image",
    "resize_labels",
    "restore_labels",
    "scale_sample",
    "scale_set",
    "scaled_shape",
    "scaled_side",
]

ArrayT = TypeVar("ArrayT", bound=AnyArray)


def scaled_side(side: int, factor: float) -> int:
    """Return the side of a scaled image in pixels: ``side · factor``, rounded half up, at least 1."""
    return max(1, math.floor(side * factor + 0.5))


def scaled_shape(shape: Sequence[int], factor: float) -> tuple[int, int]:
    """Return height and width of a scaled image."""
    return scaled_side(shape[0], factor), scaled_side(shape[1], factor)


def scale_sample(sample: Sample, factor: float) -> Sample:
    """Return a sample with image, labels and ignore region at another scale; the sample itself for a factor of 1.

    Each pixel of the new label map has the label of the pixel at its centre, and is ignored where that one is. Objects
    that are smaller than a pixel of the new map may vanish.
    """
    if factor == 1:
        return sample
    shape = scaled_shape(sample.labels.shape, factor)
    ignore = None if sample.ignore is None else resize_labels(sample.ignore, shape)
    return replace(
        sample, image=resize_image(sample.image, shape), labels=resize_labels(sample.labels, shape), ignore=ignore
    )


def scale_set(samples: SampleSet, factor: float) -> SampleSet:
    """Return a sample set at another scale; each sample is scaled whenever it is read.

    The entries have the new sizes. Without reading a sample, what they say of its objects and of the covered and
    ignored fractions is that of the original.
    """
    if factor == 1:
        return samples
    return SampleSet(
        [_scaled_entry(entry, factor) for entry in samples.entries],
        [_ScaledLoader(samples, position, factor) for position in range(len(samples))],
        name=samples.name,
        task=samples.task,
        classes=samples.classes,
        info=samples.info,
    )


def resize_image(image: Image, shape: tuple[int, ...]) -> Image:
    """Return an image at another size, in its own dtype and on its own intensity scale.

    A smaller image has the mean over the area of each new pixel, a larger one is interpolated linearly.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, uint8 or uint16.
    shape
        Height and width of the result, at least 1.
    """
    if image.shape[:2] == shape:
        return image
    from skimage.transform import resize, resize_local_mean

    if shape[0] <= image.shape[0] and shape[1] <= image.shape[1]:
        channel_axis = 2 if image.ndim == 3 else None
        resized = resize_local_mean(image, shape, preserve_range=True, channel_axis=channel_axis)
    else:
        full = (*shape, *image.shape[2:])
        resized = resize(image, full, order=1, mode="edge", anti_aliasing=False, preserve_range=True)
    rounded: Image = np.clip(np.rint(resized), 0, np.iinfo(image.dtype).max).astype(image.dtype)
    return rounded


def resize_labels(labels: ArrayT, shape: tuple[int, ...]) -> ArrayT:
    """Return a label map or a mask at another size: each pixel is the one of `labels` at its centre.

    Parameters
    ----------
    labels
        ``(height, width)``, any dtype.
    shape
        Height and width of the result, at least 1.
    """
    rows, columns = (_nearest(new, old) for new, old in zip(shape, labels.shape, strict=True))
    resized: ArrayT = labels[np.ix_(rows, columns)]
    return resized


def restore_labels(labels: LabelMap, shape: tuple[int, ...]) -> LabelMap:
    """Return the label map of a scaled image at the size of the original image.

    A smaller label map takes the nearest pixels, as `resize_labels` does. In a larger one each pixel has the label that
    has the largest weight among its four nearest pixels, by the weights of linear interpolation: outlines are then
    smoother than those of the nearest pixels, and nearer to the true ones. Objects of a single pixel may vanish.

    Parameters
    ----------
    labels
        ``(height, width)``, any integer type, 0 or more.
    shape
        Height and width of the result, at least 1.
    """
    if any(new < old for new, old in zip(shape, labels.shape, strict=True)):
        return resize_labels(labels, shape)
    (top, below), (left, right) = (_neighbours(new, old) for new, old in zip(shape, labels.shape, strict=True))
    corners = [(row, column) for row in (top, below) for column in (left, right)]
    restored: LabelMap = labels[np.ix_(top[0], left[0])]
    mixed = np.zeros(restored.shape, bool)
    for (rows, _), (columns, _) in corners[1:]:
        mixed |= labels[np.ix_(rows, columns)] != restored
    y, x = np.nonzero(mixed)
    candidates = np.stack([labels[rows[y], columns[x]] for (rows, _), (columns, _) in corners])
    weights = np.stack([down[y] * along[x] for (_, down), (_, along) in corners])
    totals = np.stack([np.where(candidates == candidate, weights, 0).sum(axis=0) for candidate in candidates])
    restored[y, x] = np.take_along_axis(candidates, totals.argmax(axis=0)[None], axis=0)[0]
    return restored


def _neighbours(new: int, old: int) -> tuple[tuple[IntArray, FloatArray], tuple[IntArray, FloatArray]]:
    """Return the two nearest pixels of each new pixel along an axis, and their weights in linear interpolation."""
    place: FloatArray = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.floor(place).astype(np.intp)
    weight = place - low.astype(np.float64)
    return (low, 1 - weight), (np.minimum(low + 1, old - 1), weight)


def _nearest(new: int, old: int) -> AnyArray:
    """Return ``floor((i + ½) · old / new)`` for i = 0 … new − 1, in integers."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def _scaled_entry(entry: Entry, factor: float) -> Entry:
    height, width = scaled_shape((entry.height, entry.width), factor)
    digest = sha256(f"{entry.digest} {factor!r}".encode()).hexdigest()
    return replace(entry, height=height, width=width, digest=digest)


class _ScaledLoader(Loader):
    """Reads a sample of another set, which verifies it, and scales it."""

    def __init__(self, samples: SampleSet, position: int, factor: float) -> None:
        self._samples, self._position, self._factor = samples, position, factor

    def __call__(self, entry: Entry) -> Sample:
        return scale_sample(self._samples[self._position], self._factor)
