"""Between real images and the range that the network works in, and what is special about the light of each image.

Micrographs of one dataset differ much in brightness and background. So each training image is scaled by its own
range, the network is told a few robust numbers of its light (as constant planes), and a drawn image gets the range
and the numbers of one training image: its histogram is then like that of a real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from synthbench import SampleSet
from synthbench.errors import StoreError
from synthbench.toolkit.distance import encode
from synthbench.toolkit.images import to_channels

LOW, HIGH = 0.1, 99.9
"""Percentiles of each channel of an image that become −1 and 1; what lies beyond is clipped."""
STEEPEST = 0.5
"""Smallest exponent: the square root, which evens out the noise of counted photons."""

_NORMAL_MEDIAN = 0.6745
_FEW = 64


@dataclass(frozen=True)
class Range:
    """The range of one training image.

    Attributes
    ----------
    floor, top : tuple of float
        The `LOW` and `HIGH` percentiles of each channel, in grey levels.
    channels : int
        1 or 3.
    dtype : str
        ``"uint8"`` or ``"uint16"``.
    """

    floor: tuple[float, ...]
    top: tuple[float, ...]
    channels: int
    dtype: str

    @classmethod
    def of(cls, image: np.ndarray) -> Range:
        planes = _planes(image)
        floor, top = np.percentile(planes, (LOW, HIGH), axis=(1, 2))
        return cls(tuple(floor.tolist()), tuple(top.tolist()), len(planes), image.dtype.name)

    def scaled(self, image: np.ndarray, exponent: float) -> np.ndarray:
        """Return an image ``(height, width[, 3])`` as ``(channels, height, width)`` float32 in −1 … 1.

        A share s of the range becomes ``2 s^exponent − 1``; a constant channel becomes −1.
        """
        floor, span = self._span()
        share = np.clip((_planes(image) - floor) / span, 0.0, 1.0)
        return (2.0 * share**exponent - 1.0).astype(np.float32)

    def restored(self, planes: np.ndarray, exponent: float) -> np.ndarray:
        """Return planes in −1 … 1 as an image of this range, dtype and number of channels: what undoes `scaled`."""
        floor, span = self._span()
        share = (np.clip(to_channels(planes, self.channels), -1.0, 1.0) + 1.0) / 2.0
        values = np.rint(share.astype(np.float64) ** (1.0 / exponent) * span + floor)
        image = np.moveaxis(values, 0, -1).clip(0, np.iinfo(self.dtype).max).astype(self.dtype)
        return np.ascontiguousarray(image if self.channels == 3 else image[..., 0])

    def _span(self) -> tuple[np.ndarray, np.ndarray]:
        floor, top = (np.array(values)[:, None, None] for values in (self.floor, self.top))
        return floor, np.where(top > floor, top - floor, 1.0)


@dataclass(frozen=True, eq=False)
class Light:
    """What is known of the training images' light, and how masks become conditions.

    Attributes
    ----------
    semantic : bool
    classes : int
        Planes of a condition: the classes of a semantic task, or the two planes of instances.
    channels : int
        Channels that the network works with: 3 if any image has them.
    exponent : float
        See `Range.scaled`.
    ranges : tuple of Range
        Per training image.
    numbers : ndarray
        ``(images, N)`` float32, standardised; see `appearance`.
    grain : ndarray
        ``(images, classes, channels)`` float32: standard deviation of the pixel noise; for instances, of background
        and of objects. In the network's range, where the square root evens out that of counted photons.
    """

    semantic: bool
    classes: int
    channels: int
    exponent: float
    ranges: tuple[Range, ...]
    numbers: np.ndarray
    grain: np.ndarray

    @classmethod
    def of(cls, train: SampleSet) -> Self:
        """Measure a training set."""
        semantic = train.task == "semantic"
        classes = max(len(train.classes), 1 + max(int(s.labels.max()) for s in train)) if semantic else 2
        channels = max(entry.channels for entry in train.entries)
        exponent = fitting_exponent(s.image for s in train)
        ranges, rows, grain = [], [], []
        for sample in train:
            ranges.append(Range.of(sample.image))
            planes = to_channels(ranges[-1].scaled(sample.image, exponent), channels)
            of_pixels = sample.labels if semantic else sample.labels > 0
            grain.append(noise(planes, of_pixels, classes))
            rows.append(np.concatenate([appearance(planes, of_pixels, classes), grain[-1].mean(axis=0)]))
        return cls(semantic, classes, channels, exponent, tuple(ranges), standardised(rows), np.stack(grain))

    def condition(self, labels: np.ndarray) -> np.ndarray:
        """Return the planes of a label map, ``(classes, height, width)`` float32, 0 … 1."""
        if not self.semantic:
            return encode(labels)
        return (labels == np.arange(self.classes)[:, None, None]).astype(np.float32)

    def scaled(self, image: np.ndarray, position: int) -> np.ndarray:
        """Return a training image in −1 … 1, ``(channels, height, width)`` float32."""
        return to_channels(self.ranges[position].scaled(image, self.exponent), self.channels)

    def restored(self, planes: np.ndarray, position: int) -> np.ndarray:
        """Return drawn planes as an image with the range and the dtype of a training image."""
        return self.ranges[position].restored(planes, self.exponent)

    def save(self, path: Path) -> None:
        rows = {**asdict(self), "numbers": self.numbers.tolist(), "grain": self.grain.tolist()}
        path.write_text(json.dumps(rows), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        try:
            rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            ranges = tuple(Range(tuple(r.pop("floor")), tuple(r.pop("top")), **r) for r in rows.pop("ranges"))
            arrays = {name: np.array(rows.pop(name), np.float32) for name in ("numbers", "grain")}
            return cls(ranges=ranges, **arrays, **rows)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path}: can't be read: {error}; fit again") from None


def fitting_exponent(images: Iterable[np.ndarray]) -> float:
    """Return the exponent, `STEEPEST` … 1, that brings the median of the images nearest to the middle of the range.

    Fluorescence, mostly dark, gets the square root; phase contrast and stained tissue stay linear.
    """
    shares = [(np.median(Range.of(image).scaled(image, 1.0)) + 1.0) / 2.0 for image in images]
    typical = float(np.clip(np.median(shares), 1e-3, 0.999))
    return float(np.clip(np.log(0.5) / np.log(typical), STEEPEST, 1.0))


def appearance(planes: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return robust numbers of an image's light: ``(2 · count · channels,)`` float32, NaN where unknown.

    They are the median and the spread (10th to 90th percentile) of each class and channel.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    classes
        ``(height, width)``, 0 … count − 1; for instances, whether there is an object.
    count
    """
    numbers = []
    for number in range(count):
        inside = planes[:, classes == number]
        if inside.shape[1] == 0:
            numbers += [np.full(len(planes), np.nan)] * 2
            continue
        low, middle, high = np.percentile(inside, (10, 50, 90), axis=1)
        numbers += [middle, high - low]
    return np.concatenate(numbers).astype(np.float32)


def noise(planes: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return the standard deviation of the pixel noise, ``(count, channels)`` float32, per class and channel.

    From the median response of a second difference in both directions, which shapes and shading hardly move
    (Immerkær 1996, with a median). A class of few pixels has the noise of the whole image.
    """
    if min(planes.shape[1:]) < 3:
        return np.zeros((count, len(planes)), np.float32)
    second = np.diff(np.diff(planes, 2, axis=1), 2, axis=2)
    middle = classes[1:-1, 1:-1]
    levels = []
    for number in range(count):
        inside = middle == number
        response = second[:, inside] if inside.sum() >= _FEW else second.reshape(len(planes), -1)
        levels.append(np.median(np.abs(response), axis=1) / _NORMAL_MEDIAN / 6.0)
    return np.stack(levels).astype(np.float32)


def standardised(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return appearance numbers ``(images, numbers)`` with mean 0 and spread 1 over the images, unknown ones 0."""
    table = np.stack(rows).astype(np.float64)
    known = np.isfinite(table)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0.0).sum(axis=0) / counts
    centred = np.where(known, table - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / counts)
    return np.clip(centred / np.where(spread > 1e-6, spread, 1.0), -3.0, 3.0).astype(np.float32)


def _planes(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float64)
