"""Conditioning on intensity statistics: what a generator gets beside the mask, for the image and for each object.

A mask doesn't contain the brightness and the blur of the objects, so a generator that is trained to be close to the
image generates the same for all of them unless these are part of its input. The statistics of the nearest object are
kept for every pixel; the generator sees them where the mask that it is given has objects (`conditioning_planes`), so
that the conditioning doesn't correct a mask that a segmenter predicted.

The texture of the objects is kept too. It isn't an input of the generator: it is added to what the generator returns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from synthbench.samples import SampleSet
from synthbench.toolkit.intensity.intensity_statistics import (
    edge_sharpness,
    intensity_statistics,
    object_statistics,
    paint_objects,
    sample_similar_objects,
    standardise,
)
from synthbench.toolkit.intensity.texture import (
    MAX_TEXTURE_RATIO,
    contrast_ratio,
    measure_texture,
    texture_strengths,
)
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training.state_files import read_state
from synthbench.types import LabelMap, Planes

__all__ = ["IntensityConditioning", "conditioning_planes"]


@dataclass(frozen=True, eq=False)
class IntensityConditioning:
    """The intensity statistics of the training images, in the network's value range.

    Attributes
    ----------
    images : ndarray
        ``(images, N)`` float32: the standardised statistics of each training image; see
        `synthbench.toolkit.intensity.intensity_statistics`.
    objects : tuple of ndarray
        Per training image ``(objects, channels + 3)`` float32: area, intensity statistics and standardised edge
        sharpness of its objects. ``(0, 0)`` for a semantic task.
    textures : tuple of ndarray
        Per training image ``(objects, channels · BANDS)`` float32: the texture of its objects; see
        `synthbench.toolkit.intensity.texture`. ``(0, 0)`` for a semantic task; no columns if the texture is too strong
        to be added (`synthbench.toolkit.intensity.texture.MAX_TEXTURE_RATIO`).
    """

    images: NDArray[np.float32]
    objects: tuple[NDArray[np.float32], ...]
    textures: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, train: SampleSet, codec: ImageMaskCodec) -> Self:
        """Measure a training set, in the value range that `codec` encodes images to."""
        if codec.mask_encoding == "classes":
            rows = [
                intensity_statistics(codec.encode(sample, k)[0], sample.labels, codec.mask_planes)
                for k, sample in enumerate(train)
            ]
            return replace(cls.none(len(train)), images=standardise(rows))
        rows, objects, sharpness, textures, ratios = [], [], [], [], []
        for position, sample in enumerate(train):
            image, _ = codec.encode(sample, position)
            rows.append(intensity_statistics(image, (sample.labels > 0).astype(np.int32), 2))
            objects.append(object_statistics(image, sample.labels))
            sharpness.append(edge_sharpness(image, sample.labels))
            textures.append(measure_texture(image, sample.labels))
            ratios.append(contrast_ratio(textures[-1], objects[-1][:, 1:-1], image[:, sample.labels == 0]))
        standardised = standardise(list(np.concatenate(sharpness)[:, None]))
        of_image = np.split(standardised, np.cumsum([len(of_objects) for of_objects in sharpness])[:-1])
        tables = [np.concatenate(columns, axis=1) for columns in zip(objects, of_image, strict=True)]
        all_ratios = np.concatenate(ratios)
        if len(all_ratios) and np.median(all_ratios) > MAX_TEXTURE_RATIO:
            textures = [table[:, :0] for table in textures]
        return cls(standardise(rows), tuple(tables), tuple(textures))

    @classmethod
    def none(cls, images: int) -> Self:
        """Return a conditioning without planes, for a generator that sees the mask only."""
        empty = (np.zeros((0, 0), np.float32),) * images
        return cls(np.zeros((images, 0), np.float32), empty, empty)

    def with_values(self, values: NDArray[np.float32]) -> Self:
        """Return it with more values for each training image, ``(images, n)``: a constant plane for each."""
        return replace(self, images=np.concatenate([self.images, values], axis=1))

    @property
    def planes(self) -> int:
        """Number of conditioning planes."""
        return self.images.shape[1] + self.object_planes

    @property
    def object_planes(self) -> int:
        """Number of the planes that hold statistics of single objects; they come first."""
        return max(0, self.objects[0].shape[1] - 1)

    def training_planes(self, labels: LabelMap, position: int) -> Planes:
        """Return the planes of a training image, ``(planes, height, width)`` float32.

        Parameters
        ----------
        labels
            Label map of the training image, ``(height, width)``.
        position
            Position of the image in the training set.
        """
        return self._planes(labels, self.objects[position][:, 1:], position)

    def texture(self, labels: LabelMap, position: int) -> Planes:
        """Return how strong the texture of a training image's objects is.

        Parameters
        ----------
        labels, position
            As for `training_planes`.

        Returns
        -------
        ndarray
            ``(channels · BANDS, height, width)`` float32; ``(0, height, width)`` without statistics of objects.
        """
        if not self.object_planes:
            return np.zeros((0, *labels.shape), np.float32)
        return texture_strengths(labels, self.textures[position])

    def planes_for(
        self, labels: LabelMap, position: int, rng: np.random.Generator
    ) -> tuple[Planes, NDArray[np.float32]]:
        """Return the planes for a new mask, and the texture of its objects.

        Each object gets the statistics and the texture of an object of similar area in a training image.

        Parameters
        ----------
        labels
            The new mask, ``(height, width)``.
        position
            Position of the training image; one without objects is replaced by all of them.
        rng

        Returns
        -------
        planes : ndarray
            ``(planes, height, width)`` float32.
        texture : ndarray
            ``(objects, channels · BANDS)`` float32, in the order of the labels.
        """
        tables = [np.concatenate(columns, axis=1) for columns in zip(self.objects, self.textures, strict=True)]
        training_objects = tables[position] if len(tables[position]) else np.concatenate(tables)
        values = sample_similar_objects(labels, training_objects, rng) if self.object_planes else training_objects
        return self._planes(labels, values[:, : self.object_planes], position), values[:, self.object_planes :]

    def _planes(self, labels: LabelMap, object_values: NDArray[np.float32], position: int) -> Planes:
        of_image = self.images[position][:, None, None]
        image_planes = np.broadcast_to(of_image, (len(of_image), *labels.shape))
        if not self.object_planes:
            return image_planes
        if labels.any():
            nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
            object_planes = paint_objects(labels[tuple(nearest)], object_values)
        else:
            object_planes = np.zeros((self.object_planes, *labels.shape), np.float32)
        return np.concatenate([object_planes, image_planes])

    def save(self, path: Path) -> None:
        """Write it to a JSON file."""
        content = {
            "images": self.images.tolist(),
            "object_columns": self.objects[0].shape[1],
            "objects": [table.tolist() for table in self.objects],
            "texture_columns": self.textures[0].shape[1],
            "textures": [table.tolist() for table in self.textures],
        }
        path.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote.

        Raises
        ------
        StoreError
            If the file is missing or damaged.
        """
        return read_state(path, cls._from_json)

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> Self:
        objects, textures = (
            tuple(np.array(table, np.float32).reshape(len(table), int(content[columns])) for table in content[name])
            for name, columns in (("objects", "object_columns"), ("textures", "texture_columns"))
        )
        return cls(np.array(content["images"], np.float32).reshape(len(objects), -1), objects, textures)


def conditioning_planes(mask: torch.Tensor, conditioning: torch.Tensor, object_planes: int) -> torch.Tensor:
    """Return the input of a generator: the mask and the conditioning, that of objects only where the mask has some.

    Parameters
    ----------
    mask
        ``(B, K, H, W)``, −1 … 1; of instances the second plane is the foreground.
    conditioning
        ``(B, N, H, W)``.
    object_planes
        How many of the N planes, the first ones, hold statistics of single objects; 0 for classes.

    Returns
    -------
    torch.Tensor
        ``(B, K + N, H, W)``.
    """
    objects = conditioning[:, :object_planes]
    if object_planes:
        objects = objects * (mask[:, 1:2] + 1) / 2
    return torch.cat([mask, objects, conditioning[:, object_planes:]], dim=1)
