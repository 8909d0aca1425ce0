"""Encode a sample as image planes and mask planes in −1 … 1, and decode planes that a network has drawn.

A semantic mask has a plane per class. An instance mask has a distance plane and a foreground plane, which a watershed
decodes (`synthbench.toolkit.masks.distance`), or one grey-level plane (`synthbench.toolkit.masks.graph_colouring`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from scipy import ndimage

from synthbench.errors import DataError
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.intensity.images import to_channels
from synthbench.toolkit.intensity.normalisation import IntensityNormalisation, fit_exponent
from synthbench.toolkit.intensity.pixel_noise import match_noise, measure_noise
from synthbench.toolkit.masks import distance, graph_colouring
from synthbench.toolkit.masks.objects import min_object_area, object_areas, relabel
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.state_files import read_state
from synthbench.types import FloatArray, Image, LabelMap, Planes

__all__ = ["ImageMaskCodec", "MaskEncoding"]

MaskEncoding = Literal["distance", "grey"]
"""How instances are encoded."""

_MAX_AREA_RATIO = 1.5
"""Largest area of a decoded object, relative to the largest object of the training masks."""
_ALL = distance.Thresholds(area=1)


@dataclass(frozen=True)
class ImageMaskCodec:
    """Maps samples to planes and back, with ranges that were measured on the training samples.

    Attributes
    ----------
    mask_encoding : {"classes", "distance", "grey"}
    mask_planes, image_planes : int
        Number of planes of the mask and of the image; the image's are the channels of the set, 3 if any training image
        has colour.
    levels : int
        Grey levels of the encoding ``grey``.
    min_area, max_area : int
        Allowed area of a decoded object in pixels.
    exponent : float
        Exponent of the intensity normalisation, the same for all images.
    normalisations : tuple
        Intensity normalisation of each training image; a decoded image gets one of them.
    pixel_noise : tuple
        Standard deviation of the pixel noise of each training image, ``[class][channel]``; for instances the classes
        are background and objects.
    """

    mask_encoding: str
    mask_planes: int
    image_planes: int
    levels: int
    min_area: int
    max_area: int
    exponent: float
    normalisations: tuple[IntensityNormalisation, ...]
    pixel_noise: tuple[Any, ...]

    @classmethod
    def of(cls, train: SampleSet, mask_encoding: MaskEncoding, levels: int) -> Self:
        """Return the codec of a training set.

        Parameters
        ----------
        train
        mask_encoding
            Of instances; a semantic mask always has a plane per class.
        levels
            Grey levels of the encoding ``grey``, 1 … 255.

        Raises
        ------
        DataError
            If there are no samples, or no sample of an instance task has an object.
        """
        if len(train) == 0:
            raise DataError("there are no training samples to learn from")
        semantic = train.task == "semantic"
        labels = [sample.labels for sample in train]
        all_areas = np.concatenate([object_areas(mask) for mask in labels])
        if not semantic and not len(all_areas):
            raise DataError("the training masks hold no objects: there is nothing to draw new ones from")
        classes = max(len(train.classes), 1 + max(int(mask.max()) for mask in labels))
        channels, exponent = train.channels, fit_exponent(s.image for s in train)
        normalisations = tuple(IntensityNormalisation.from_image(sample.image, sample.labels) for sample in train)
        pixel_noise = []
        for sample, normalisation in zip(train, normalisations, strict=True):
            planes = to_channels(normalisation.normalise(sample.image, exponent), channels)
            kinds = (sample.labels, classes) if semantic else (sample.labels > 0, 2)
            pixel_noise.append(measure_noise(planes, *kinds).tolist())
        return cls(
            mask_encoding="classes" if semantic else mask_encoding,
            mask_planes=classes if semantic else 2 if mask_encoding == "distance" else 1,
            image_planes=channels,
            levels=levels,
            min_area=1 if semantic else min_object_area(labels),
            max_area=1 if semantic else int(_MAX_AREA_RATIO * all_areas.max()),
            exponent=exponent,
            normalisations=normalisations,
            pixel_noise=tuple(pixel_noise),
        )

    @property
    def planes(self) -> int:
        """Number of planes of image and mask together."""
        return self.image_planes + self.mask_planes

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        """Return the planes of a training sample.

        Parameters
        ----------
        sample
        position
            Its index in the training set.

        Returns
        -------
        image : ndarray
            ``(image_planes, H, W)`` float32, −1 … 1.
        mask : ndarray
            ``(mask_planes, H, W)`` float32, −1 … 1.
        """
        return self.encode_image(sample, position), self.encode_mask(sample.labels, position)

    def encode_image(self, sample: Sample, position: int) -> Planes:
        """Return the image planes of training sample `position`, ``(image_planes, H, W)`` float32, −1 … 1."""
        return to_channels(self.normalisations[position].normalise(sample.image, self.exponent), self.image_planes)

    def encode_other_image(self, image: Image) -> Planes:
        """Return the planes of an image that isn't in the training set, ``(image_planes, H, W)`` float32, −1 … 1.

        It is scaled by its own range, like a training image without objects.
        """
        planes = IntensityNormalisation.from_image(image).normalise(image, self.exponent)
        return to_channels(planes, self.image_planes)

    def encode_mask(self, labels: LabelMap, position: int = 0) -> Planes:
        """Return the planes of a label map, ``(mask_planes, H, W)`` float32, −1 … 1.

        Parameters
        ----------
        labels
            ``(H, W)`` integers.
        position
            Seed of the order of the grey levels.
        """
        if self.mask_encoding == "classes":
            planes = (labels == np.arange(self.mask_planes)[:, None, None]).astype(np.float32)
        elif self.mask_encoding == "distance":
            planes = distance.encode(labels)
        else:
            rng = stream(0, "codec.grey_levels", position)
            planes = (
                graph_colouring.encode(labels, self.levels, rng).plane[None].astype(np.float32)
                / graph_colouring.MAX_GREY
            )
        scaled: Planes = (2 * planes - 1).astype(np.float32)
        return scaled

    def count_lost(self, train: SampleSet) -> int:
        """Return the number of objects of the training masks without a grey level, which a network can't learn."""
        if self.mask_encoding != "grey":
            return 0
        return sum(graph_colouring.encode(sample.labels, self.levels).dropped for sample in train)

    def pixel_noise_planes(self, labels: LabelMap, position: int) -> Planes:
        """Return the standard deviation of a training image's pixel noise, ``(image_planes, H, W)`` float32.

        Parameters
        ----------
        labels
            ``(H, W)`` instances or classes.
        position
            Index of the training image.
        """
        return np.moveaxis(self._noise_of(position)[self._noise_classes(labels)], -1, 0)

    def decode_image(
        self, planes: Planes, labels: LabelMap, position: int, rng: np.random.Generator | None = None
    ) -> Image:
        """Return the image of drawn planes, with the intensity range of a training image.

        Parameters
        ----------
        planes
            ``(image_planes, H, W)`` float32, about −1 … 1.
        labels
            ``(H, W)`` instances or classes.
        position
            Index of the training image.
        rng
            Draws the pixel noise that the planes lack compared with that training image; see
            `synthbench.toolkit.intensity.pixel_noise`. None: no noise is added.

        Returns
        -------
        ndarray
            ``(H, W)`` or ``(H, W, channels)``, with the dtype of the training image.
        """
        normalisation = self.normalisations[position]
        planes = to_channels(planes, normalisation.channels)
        if rng is not None:
            planes = match_noise(
                planes, self._noise_classes(labels), self._noise_of(position)[:, : normalisation.channels], rng
            )
        return normalisation.denormalise(planes, self.exponent)

    def decode(
        self, planes: Planes, position: int, rng: np.random.Generator | None = None
    ) -> tuple[Image, LabelMap, int]:
        """Return the image and the labels of drawn planes, and the number of objects that were removed.

        Parameters
        ----------
        planes
            ``(planes, H, W)`` float32, about −1 … 1.
        position, rng
            See `decode_image`.
        """
        labels, removed = self._labels(planes[self.image_planes :])
        return self.decode_image(planes[: self.image_planes], labels, position, rng), labels, removed

    def _noise_classes(self, labels: LabelMap) -> LabelMap:
        """Return the classes for which pixel noise was measured; for instances, background and objects."""
        return labels if self.mask_encoding == "classes" else (labels > 0).astype(np.int32)

    def _noise_of(self, position: int) -> FloatArray:
        """Return the noise of a training image, ``(classes, image_planes)`` float32."""
        return np.array(self.pixel_noise[position], np.float32)

    def _labels(self, planes: Planes) -> tuple[LabelMap, int]:
        mask, unseeded = (planes + 1) / 2, 0
        if self.mask_encoding == "classes":
            return mask.argmax(axis=0).astype(np.int32), 0
        if self.mask_encoding == "distance":
            objects = distance.decode(mask[0], mask[1], _ALL)
            _, unseeded = ndimage.label((mask[1] >= _ALL.foreground) & (objects == 0))
            raw: LabelMap = distance.restore_borders(objects, mask[0])
        else:
            raw = graph_colouring.decode(mask[0] * graph_colouring.MAX_GREY, self.levels, (1, mask[0].size)).labels
        sizes = np.bincount(raw.ravel())
        huge = np.flatnonzero(sizes[1:] > self.max_area) + 1
        labels, small = relabel(np.where(np.isin(raw, huge), 0, raw), self.min_area)
        return labels, unseeded + small + len(huge)

    def save(self, path: Path) -> None:
        """Write the ranges to a JSON file, for `load`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        return read_state(path, cls._from_json)

    @classmethod
    def _from_json(cls, rows: dict[str, Any]) -> Self:
        normalisations = tuple(
            IntensityNormalisation(tuple(row.pop("low")), tuple(row.pop("high")), **row)
            for row in rows.pop("normalisations")
        )
        return cls(normalisations=normalisations, pixel_noise=tuple(rows.pop("pixel_noise")), **rows)
