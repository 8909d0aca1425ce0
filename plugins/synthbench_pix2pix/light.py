"""Between real images and the range that the network works in, and what is special about the light of each image.

Each training image is scaled by its own range (`synthbench.toolkit.ranges`), the network is told a few robust numbers
of its light (as constant planes) and of each object's (at its pixels), and a drawn image gets the range and the numbers
of one training image: its histogram is then like that of a real one, and its objects differ among themselves as real
ones do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from synthbench import Sample, SampleSet
from synthbench.errors import StoreError
from synthbench.toolkit.distance import encode
from synthbench.toolkit.grain import noise
from synthbench.toolkit.images import to_channels
from synthbench.toolkit.light import appearance, borrowed, objects, painted, standardised
from synthbench.toolkit.ranges import Range, fitting_exponent
from synthbench.toolkit.texture import of_bodies


@dataclass(frozen=True, eq=False)
class Light:
    """What is known of the training images' light, and how masks become conditions.

    Attributes
    ----------
    semantic : bool
    classes : int
        Classes of a semantic task; 2 for instances, background and objects.
    channels : int
        Channels that the network works with: 3 if any image has them.
    exponent : float
        See `Range.scaled`.
    ranges : tuple of Range
        Per training image.
    numbers : ndarray
        ``(images, N)`` float32, standardised; see `appearance`.
    objects : tuple of ndarray
        Per training image, the area and the light of its objects; see `synthbench.toolkit.light.objects`. Of no rows
        for a semantic task.
    textures : tuple of ndarray
        Per training image, that of its objects; see `synthbench.toolkit.texture.of_bodies`. Of no rows for a semantic
        task.
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
    objects: tuple[np.ndarray, ...]
    textures: tuple[np.ndarray, ...]
    grain: np.ndarray

    @classmethod
    def of(cls, train: SampleSet) -> Self:
        """Measure a training set."""
        semantic = train.task == "semantic"
        classes = max(len(train.classes), 1 + max(int(s.labels.max()) for s in train)) if semantic else 2
        channels = max(entry.channels for entry in train.entries)
        exponent = fitting_exponent(s.image for s in train)
        ranges = tuple(Range.of(sample.image) for sample in train)

        def scaled(position: int, sample: Sample) -> np.ndarray:
            return to_channels(ranges[position].scaled(sample.image, exponent), channels)

        rows, found, grain = [], [], []
        for position, sample in enumerate(train):
            planes = scaled(position, sample)
            of_pixels = sample.labels if semantic else sample.labels > 0
            grain.append(noise(planes, of_pixels, classes))
            rows.append(np.concatenate([appearance(planes, of_pixels, classes), grain[-1].mean(axis=0)]))
            found.append(objects(planes, np.zeros_like(sample.labels) if semantic else sample.labels))
        images = ((scaled(position, sample), sample.labels) for position, sample in enumerate(train))
        textures = (np.zeros((0, 0), np.float32),) * len(train) if semantic else of_bodies(images)
        return cls(
            semantic, classes, channels, exponent, ranges, standardised(rows), tuple(found), textures, np.stack(grain)
        )

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """Return the planes of a label map, ``(classes, height, width)`` float32, 0 … 1.

        Semantic: one per class. Instances: distance per instance, and foreground without inner borders.
        """
        if not self.semantic:
            return encode(labels)
        return (labels == np.arange(self.classes)[:, None, None]).astype(np.float32)

    def objects_of(self, labels: np.ndarray, position: int) -> np.ndarray:
        """Return the light of a training image's own objects at their pixels, ``(K, height, width)`` float32.

        K is channels + 1, or 0 for a semantic task.
        """
        return self._paint(labels, self.objects[position][:, 1:])

    def objects_like(
        self, labels: np.ndarray, position: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return light and texture of new objects, both from a training image's objects of similar area.

        Returns
        -------
        light : ndarray
            ``(K, height, width)`` float32; see `objects_of`.
        texture : ndarray
            ``(objects, channels · BANDS)`` float32, by rising id; without rows or columns where there is none.
        """
        light = self.channels + 1
        if self.semantic or not labels.any():
            return self._paint(labels, np.zeros((0, light), np.float32)), np.zeros((0, 0), np.float32)
        tables = [np.concatenate(pair, axis=1) for pair in zip(self.objects, self.textures, strict=True)]
        own = tables[position]
        found = borrowed(labels, own if len(own) else np.concatenate(tables), rng)
        return self._paint(labels, found[:, :light]), found[:, light:]

    def _paint(self, labels: np.ndarray, light: np.ndarray) -> np.ndarray:
        return np.zeros((0, *labels.shape), np.float32) if self.semantic else painted(labels, light)

    def scaled(self, image: np.ndarray, position: int) -> np.ndarray:
        """Return a training image in −1 … 1, ``(channels, height, width)`` float32."""
        return to_channels(self.ranges[position].scaled(image, self.exponent), self.channels)

    def restored(self, planes: np.ndarray, position: int) -> np.ndarray:
        """Return drawn planes as an image with the range and the dtype of a training image."""
        return self.ranges[position].restored(planes, self.exponent)

    def save(self, path: Path) -> None:
        rows = {
            **asdict(self),
            "numbers": self.numbers.tolist(),
            "objects": [found.tolist() for found in self.objects],
            "bands": self.textures[0].shape[1],
            "textures": [found.tolist() for found in self.textures],
            "grain": self.grain.tolist(),
        }
        path.write_text(json.dumps(rows), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        try:
            rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            ranges = tuple(Range(tuple(r.pop("floor")), tuple(r.pop("top")), **r) for r in rows.pop("ranges"))
            arrays = {name: np.array(rows.pop(name), np.float32) for name in ("numbers", "grain")}
            found, textures = (
                tuple(np.array(table, np.float32).reshape(len(table), width) for table in rows.pop(name))
                for name, width in (("objects", int(rows["channels"]) + 2), ("textures", int(rows.pop("bands"))))
            )
            return cls(ranges=ranges, objects=found, textures=textures, **arrays, **rows)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path}: can't be read: {error}; fit again") from None
