"""What a generator is told of the light of an image, beside its mask: a few numbers, and those of the objects.

A mask says nothing of how bright each object is, nor how blurred. A generator that is trained to be near the image
therefore draws all objects alike, unless it is told. Kept is the light of the nearest object, everywhere; the
generator sees it where the mask that it draws to has objects (`conditioning_planes`), not where the real ones are, so
that the conditioning doesn't correct a mask that a segmenter predicted.

Beside it the texture of the objects is kept, which a generator isn't told: it is laid over what it draws.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy import ndimage

from synthbench.errors import StoreError
from synthbench.samples import SampleSet
from synthbench.toolkit.intensity.intensity_statistics import (
    edge_sharpness,
    intensity_statistics,
    object_statistics,
    paint_objects,
    sample_similar_objects,
    standardise,
)
from synthbench.toolkit.intensity.texture import BODY, contrast_ratio, measure_texture, texture_strengths
from synthbench.toolkit.masks.codec import ImageMaskCodec


@dataclass(frozen=True, eq=False)
class IntensityConditioning:
    """The light of the training images, in the network's range.

    Attributes
    ----------
    numbers : ndarray
        ``(images, N)`` float32, standardised; see `synthbench.toolkit.intensity.intensity_statistics`.
    objects : tuple of ndarray
        Per training image, area, light and standardised edge sharpness of its objects,
        ``(objects, channels + 3)`` float32; see
        `synthbench.toolkit.intensity.intensity_statistics`. For a semantic task ``(0, 0)``.
    textures : tuple of ndarray
        Per training image, that of its objects, ``(objects, channels · BANDS)`` float32; see
        `synthbench.toolkit.intensity.texture`. For a semantic task ``(0, 0)``; without columns where the objects are no
        bodies (`synthbench.toolkit.intensity.texture.BODY`).
    """

    numbers: np.ndarray
    objects: tuple[np.ndarray, ...]
    textures: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, train: SampleSet, codec: ImageMaskCodec) -> Self:
        """Measure a training set in the range that `codec` encodes it in."""
        if codec.mask_encoding == "classes":
            rows = [
                intensity_statistics(codec.encode(sample, k)[0], sample.labels, codec.mask_planes)
                for k, sample in enumerate(train)
            ]
            return replace(cls.none(len(train)), numbers=standardise(rows))
        rows, found, edges, textures, shares = [], [], [], [], []
        for position, sample in enumerate(train):
            image, _ = codec.encode(sample, position)
            rows.append(intensity_statistics(image, sample.labels > 0, 2))
            found.append(object_statistics(image, sample.labels))
            edges.append(edge_sharpness(image, sample.labels))
            textures.append(measure_texture(image, sample.labels))
            shares.append(contrast_ratio(textures[-1], found[-1][:, 1:-1], image[:, sample.labels == 0]))
        steep = standardise(np.concatenate(edges)[:, None])
        parts = np.split(steep, np.cumsum([len(edge) for edge in edges])[:-1])
        told = [np.concatenate(pair, axis=1) for pair in zip(found, parts, strict=True)]
        share = np.concatenate(shares)
        if len(share) and np.median(share) > BODY:
            textures = [table[:, :0] for table in textures]
        return cls(standardise(rows), tuple(told), tuple(textures))

    @classmethod
    def none(cls, images: int) -> Self:
        """Return an appearance of no planes."""
        nothing = (np.zeros((0, 0), np.float32),) * images
        return cls(np.zeros((images, 0), np.float32), nothing, nothing)

    @property
    def planes(self) -> int:
        """How many planes the generator is told."""
        return self.numbers.shape[1] + self.object_planes

    @property
    def object_planes(self) -> int:
        """How many of them are the light of single objects; they come first."""
        return max(0, self.objects[0].shape[1] - 1)

    def training_planes(self, labels: np.ndarray, position: int) -> np.ndarray:
        """Return the planes of a training image, ``(planes, height, width)`` float32."""
        return self._planes(labels, self.objects[position][:, 1:], position)

    def texture(self, labels: np.ndarray, position: int) -> np.ndarray:
        """Return how strong that of a training image's objects is, ``(channels · BANDS, height, width)`` float32.

        ``(0, height, width)`` where the appearance has no objects.
        """
        return (
            texture_strengths(labels, self.textures[position])
            if self.object_planes
            else np.zeros((0, *labels.shape), np.float32)
        )

    def planes_for(self, labels: np.ndarray, position: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the planes of new objects, and their texture, both from a training image's objects of similar area.

        Returns
        -------
        planes : ndarray
            ``(planes, height, width)`` float32.
        texture : ndarray
            ``(objects, channels · BANDS)`` float32, by rising id.
        """
        tables = [np.concatenate(pair, axis=1) for pair in zip(self.objects, self.textures, strict=True)]
        donors = tables[position] if len(tables[position]) else np.concatenate(tables)
        light = sample_similar_objects(labels, donors, rng) if self.object_planes else donors
        return self._planes(labels, light[:, : self.object_planes], position), light[:, self.object_planes :]

    def _planes(self, labels: np.ndarray, light: np.ndarray, position: int) -> np.ndarray:
        numbers = self.numbers[position][:, None, None]
        everywhere = np.broadcast_to(numbers, (len(numbers), *labels.shape))
        if not self.object_planes:
            return everywhere
        if labels.any():
            nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
            object_planes = paint_objects(labels[tuple(nearest)], light)
        else:
            object_planes = np.zeros((self.object_planes, *labels.shape), np.float32)
        return np.concatenate([object_planes, everywhere])

    def save(self, path: Path) -> None:
        rows = {
            "numbers": self.numbers.tolist(),
            "columns": self.objects[0].shape[1],
            "objects": [found.tolist() for found in self.objects],
            "bands": self.textures[0].shape[1],
            "textures": [found.tolist() for found in self.textures],
        }
        path.write_text(json.dumps(rows), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        try:
            rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found, textures = (
                tuple(np.array(table, np.float32).reshape(len(table), int(rows[width])) for table in rows[name])
                for name, width in (("objects", "columns"), ("textures", "bands"))
            )
            numbers = np.array(rows["numbers"], np.float32).reshape(len(found), -1)
            return cls(numbers, found, textures)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path}: can't be read: {error!r}; fit again") from None


def conditioning_planes(mask: torch.Tensor, told: torch.Tensor, object_planes: int) -> torch.Tensor:
    """Return what the generator sees: the mask, and what it is told, of objects where the mask has them.

    Parameters
    ----------
    mask
        ``(B, K, H, W)``, −1 … 1; of instances the second plane is the foreground.
    told
        ``(B, N, H, W)``.
    object_planes
        How many of the N are the light of single objects; 0 for classes.
    """
    objects = told[:, :object_planes] * (mask[:, 1:2] + 1) / 2 if object_planes else told[:, :0]
    return torch.cat([mask, objects, told[:, object_planes:]], dim=1)
