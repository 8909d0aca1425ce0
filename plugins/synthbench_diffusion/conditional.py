"""Conditions of the conditional mode: planes of a mask, and of the intensities of its objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthbench import SampleSet
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.objects import relabel
from synthbench.toolkit.masks.sampler import MaskSampler, SampledMask
from synthbench.types import FloatArray, LabelMap, Planes
from synthbench_diffusion.config import DiffusionConfig

__all__ = ["Condition", "Conditions"]

_INTENSITY = "intensity.json"


@dataclass(frozen=True, eq=False)
class Condition:
    """A mask to draw an image to.

    Attributes
    ----------
    labels : ndarray
        ``(H, W)``.
    planes : ndarray
        ``(K, H, W)`` float32: planes of the mask, then of the intensities.
    texture : ndarray
        Strength of the objects' textures; see `synthbench.toolkit.intensity.texture`.
    donor : int
        Index of the training image whose intensity range the image gets.
    groups : dict
        Groups of the sample.
    removed, unplaced : int
        Small objects removed from the mask, and objects that found no place in it.
    """

    labels: LabelMap
    planes: Planes
    texture: FloatArray
    donor: int
    groups: dict[str, str]
    removed: int
    unplaced: int


class Conditions:
    """Samples conditions, and turns them into the planes that the network sees.

    Parameters
    ----------
    codec
    intensity
        Without planes if the configuration has no intensity conditioning.
    sampler
    max_side
        Longest side of a condition in pixels.
    """

    def __init__(
        self, codec: ImageMaskCodec, intensity: IntensityConditioning, sampler: MaskSampler, max_side: int
    ) -> None:
        self.codec, self.intensity, self.sampler, self.max_side = codec, intensity, sampler, max_side

    @classmethod
    def of(cls, train: SampleSet, config: DiffusionConfig, codec: ImageMaskCodec) -> Self:
        """Return the conditions of a training set."""
        conditioned = config.intensity_conditioning
        intensity = IntensityConditioning.of(train, codec) if conditioned else IntensityConditioning.none(len(train))
        return cls(codec, intensity, config.sampler(train), config.max_side)

    @property
    def planes(self) -> int:
        """Number of planes of a condition."""
        return self.codec.mask_planes + self.intensity.planes

    def training_planes(self, mask: Planes, labels: LabelMap, position: int) -> Planes:
        """Return the planes of training sample `position`, ``(planes, H, W)`` float32, given those of its mask."""
        return np.concatenate([mask, self.intensity.training_planes(labels, position)])

    def network_input(self, planes: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of conditions ``(B, planes, H, W)``: intensities only where objects are."""
        mask, intensity = planes[:, : self.codec.mask_planes], planes[:, self.codec.mask_planes :]
        return conditioning_planes(mask, intensity, self.intensity.object_planes)

    def sample(self, index: int, seed: int, rng: np.random.Generator) -> Condition:
        """Return a new condition."""
        mask = self.sampler.sample_mask(index, seed)
        planes, labels, removed = self.crop(mask, rng)
        donor = int(rng.choice(self.sampler.similar_masks(mask.source)))
        intensity, texture = self.intensity.planes_for(labels, donor, rng)
        return Condition(
            labels,
            np.concatenate([planes, intensity]),
            texture,
            donor,
            mask.groups,
            mask.removed + removed,
            mask.unplaced,
        )

    def crop(self, mask: SampledMask, rng: np.random.Generator) -> tuple[Planes, LabelMap, int]:
        """Return planes and labels of a mask, at most `max_side` large, and the number of small objects removed.

        As in training, a mask is encoded first and cropped then, so that objects continue beyond the border.
        """
        window = tuple(_span(side, self.max_side, rng) for side in mask.labels.shape)
        planes, labels, removed = self.codec.encode_mask(mask.labels)[:, *window].copy(), mask.labels[window], 0
        if self.sampler.task == "instances":
            kept, removed = relabel(labels, self.codec.min_area)
            planes[:, (labels > 0) & (kept == 0)] = -1.0
            labels = kept
        return planes, np.ascontiguousarray(labels), removed

    def save(self, folder: Path) -> None:
        """Write what `load` needs."""
        self.intensity.save(folder / _INTENSITY)
        self.sampler.save(folder)

    @classmethod
    def load(cls, folder: Path, config: DiffusionConfig, codec: ImageMaskCodec) -> Self:
        """Return what `save` wrote."""
        return cls(codec, IntensityConditioning.load(folder / _INTENSITY), MaskSampler.load(folder), config.max_side)


def _span(side: int, longest: int, rng: np.random.Generator) -> slice:
    """Return a random part of a side, at most `longest` pixels."""
    first = int(rng.integers(max(side - longest, 0) + 1))
    return slice(first, first + min(side, longest))
