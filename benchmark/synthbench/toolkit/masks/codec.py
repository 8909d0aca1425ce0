"""Image and mask as the planes of one picture, for generators that draw both at once, and back.

Semantic masks are a plane per class. Instances are, by choice, a distance and a foreground plane, which a watershed
decodes, or one grey plane (`synthbench.toolkit.masks.graph_colouring`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from scipy import ndimage

from synthbench.errors import DataError, StoreError
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.intensity.images import to_channels
from synthbench.toolkit.intensity.normalisation import IntensityNormalisation, fit_exponent
from synthbench.toolkit.intensity.pixel_noise import match_noise, measure_noise
from synthbench.toolkit.masks import distance, graph_colouring
from synthbench.toolkit.masks.objects import areas, min_object_area, relabel

MaskForm = Literal["distance", "grey"]
LARGEST = 1.5
"""A decoded object may be this many times as large as the largest of the training masks."""
_ALL = distance.Thresholds(area=1)


@dataclass(frozen=True)
class Joint:
    """How samples become planes, learnt from the training samples.

    Attributes
    ----------
    form : {"classes", "distance", "grey"}
    masks : int
        Planes of the mask.
    channels : int
        Planes of the image: 3 if any training image has colour.
    levels : int
        Grey levels of the form ``grey``.
    smallest, largest : int
        Area of an object in pixels; pieces below and objects above are removed from what is drawn.
    exponent : float
    ranges : tuple of IntensityNormalisation
        Of the training images; a drawn image gets one of them.
    grain : tuple
        Of the training images; the pixel noise of each class or, for instances, of background and objects, and of each
        channel: ``[class][channel]``.
    """

    form: str
    masks: int
    channels: int
    levels: int
    smallest: int
    largest: int
    exponent: float
    ranges: tuple[IntensityNormalisation, ...]
    grain: tuple[Any, ...]

    @classmethod
    def of(cls, train: SampleSet, form: MaskForm, levels: int) -> Self:
        """Measure a training set.

        Raises
        ------
        DataError
            If there are no samples, or an instance task has no objects at all.
        """
        if len(train) == 0:
            raise DataError("there are no training samples to learn from")
        semantic = train.task == "semantic"
        labels = [sample.labels for sample in train]
        found = np.concatenate([areas(mask) for mask in labels])
        if not semantic and not len(found):
            raise DataError("the training masks hold no objects: there is nothing to draw new ones from")
        classes = max(len(train.classes), 1 + max(int(mask.max()) for mask in labels))
        channels, exponent = max(entry.channels for entry in train.entries), fit_exponent(s.image for s in train)
        ranges = tuple(IntensityNormalisation.from_image(sample.image, sample.labels) for sample in train)
        grain = []
        for sample, own in zip(train, ranges, strict=True):
            planes = to_channels(own.normalise(sample.image, exponent), channels)
            kinds = (sample.labels, classes) if semantic else (sample.labels > 0, 2)
            grain.append(measure_noise(planes, *kinds).tolist())
        return cls(
            form="classes" if semantic else form,
            masks=classes if semantic else 2 if form == "distance" else 1,
            channels=channels,
            levels=levels,
            smallest=1 if semantic else min_object_area(labels),
            largest=1 if semantic else int(LARGEST * found.max()),
            exponent=exponent,
            ranges=ranges,
            grain=tuple(grain),
        )

    @property
    def planes(self) -> int:
        """Planes of image and mask together."""
        return self.channels + self.masks

    def encode(self, sample: Sample, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the planes of training sample `position`.

        Returns
        -------
        image : ndarray
            ``(channels, H, W)`` float32, −1 … 1.
        mask : ndarray
            ``(masks, H, W)`` float32, −1 … 1.
        """
        image = to_channels(self.ranges[position].normalise(sample.image, self.exponent), self.channels)
        return image, self.mask(sample.labels, position)

    def mask(self, labels: np.ndarray, position: int = 0) -> np.ndarray:
        """Return the planes of a label map alone, ``(masks, H, W)`` float32, −1 … 1.

        Grey levels are shuffled by `position`.
        """
        if self.form == "classes":
            planes = (labels == np.arange(self.masks)[:, None, None]).astype(np.float32)
        elif self.form == "distance":
            planes = distance.encode(labels)
        else:
            rng = np.random.default_rng((position, 61))
            planes = (
                graph_colouring.encode(labels, self.levels, rng).plane[None].astype(np.float32)
                / graph_colouring.HIGHEST
            )
        return (2 * planes - 1).astype(np.float32)

    def lost(self, train: SampleSet) -> int:
        """Return how many objects of the training masks have no grey level, and so are none to the network."""
        if self.form != "grey":
            return 0
        return sum(graph_colouring.encode(sample.labels, self.levels).dropped for sample in train)

    def grain_of(self, labels: np.ndarray, position: int) -> np.ndarray:
        """Return how strong the pixel noise of training image `position` is, ``(channels, H, W)`` float32.

        Parameters
        ----------
        labels
            ``(H, W)``; where there are objects, or the classes.
        position
        """
        return np.moveaxis(self._wanted(position)[self._kinds(labels)], -1, 0)

    def picture(
        self, planes: np.ndarray, labels: np.ndarray, position: int, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return the image of drawn planes, with the range of training image `position`.

        Parameters
        ----------
        planes
            ``(channels, H, W)`` float32, about −1 … 1.
        labels
            ``(H, W)``; where there are objects, or the classes.
        position
        rng
            Adds the pixel noise that the planes lack beside training image `position`; see
            `synthbench.toolkit.intensity.pixel_noise`. None: they stay as they are.
        """
        own = self.ranges[position]
        planes = to_channels(planes, own.channels)
        if rng is not None:
            planes = match_noise(planes, self._kinds(labels), self._wanted(position)[:, : own.channels], rng)
        return own.denormalise(planes, self.exponent)

    def decode(
        self, planes: np.ndarray, position: int, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return image, labels, and how many objects were removed, with the range of training image `position`.

        Parameters
        ----------
        planes
            ``(channels + masks, H, W)`` float32, about −1 … 1.
        position, rng
            See `picture`.
        """
        labels, removed = self._labels(planes[self.channels :])
        return self.picture(planes[: self.channels], labels, position, rng), labels, removed

    def _kinds(self, labels: np.ndarray) -> np.ndarray:
        """Return the classes that pixel noise was measured by: of instances, whether there is an object."""
        return labels if self.form == "classes" else (labels > 0).astype(np.int32)

    def _wanted(self, position: int) -> np.ndarray:
        """Return the pixel noise of a training image, ``(classes, channels)`` float32."""
        return np.array(self.grain[position], np.float32)

    def _labels(self, planes: np.ndarray) -> tuple[np.ndarray, int]:
        mask, lost = (planes + 1) / 2, 0
        if self.form == "classes":
            return mask.argmax(axis=0).astype(np.int32), 0
        if self.form == "distance":
            found = distance.decode(mask[0], mask[1], _ALL)
            _, lost = ndimage.label((mask[1] >= _ALL.foreground) & (found == 0))
            raw = distance.closed(found, mask[0])
        else:
            raw = graph_colouring.decode(mask[0] * graph_colouring.HIGHEST, self.levels, (1, mask[0].size)).labels
        sizes = np.bincount(raw.ravel())
        huge = np.flatnonzero(sizes[1:] > self.largest) + 1
        labels, specks = relabel(np.where(np.isin(raw, huge), 0, raw), self.smallest)
        return labels, lost + specks + len(huge)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        try:
            rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            ranges = tuple(
                IntensityNormalisation(tuple(r.pop("floor")), tuple(r.pop("top")), **r) for r in rows.pop("ranges")
            )
            return cls(ranges=ranges, grain=tuple(rows.pop("grain")), **rows)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path}: can't be read: {error}; fit again") from None
