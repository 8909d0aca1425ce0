"""What the networks of mask-to-image generators see of samples: conditions, and the batches of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import torch

from synthbench.plugin.api import Context
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.generators._base import CodecGenerator
from synthbench.toolkit.generators.config import MaskToImageConfig
from synthbench.toolkit.generators.unlabelled import is_unlabelled, mix_with_unlabelled
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.masks.objects import boundaries
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.patches import PatchStream, Slot
from synthbench.types import LabelMap, Planes

__all__ = ["ConditionedBatch", "ConditionedBatches", "ConditionedGenerator"]

ConfigT = TypeVar("ConfigT", bound=MaskToImageConfig)


class ConditionedGenerator(CodecGenerator[ConfigT]):
    """A trained generator whose networks see the mask of a sample, and perhaps statistics of its intensities.

    Attributes
    ----------
    conditioning : IntensityConditioning
        Of the training set; without planes where the configuration has no intensity conditioning.
    trains_on_texture : bool
        Whether training batches hold the texture strengths where the configuration has `texture`.
    """

    trains_on_texture: ClassVar[bool] = False

    conditioning: IntensityConditioning

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        """Return the image planes of a training sample, and all planes that belong to them.

        Parameters
        ----------
        sample
        position
            Its index in the training set.

        Returns
        -------
        image : ndarray
            ``(image_planes, H, W)`` float32, −1 … 1.
        planes : ndarray
            ``(K, H, W)`` float32: mask, intensities, pixel noise, texture; see `ConditionedBatch`.
        """
        image, mask = self.codec.encode_image(sample, position), self.encode_mask(sample.labels)
        intensities = self.conditioning.training_planes(sample.labels, position)
        noise = (
            self.codec.pixel_noise_planes(sample.labels, position) if self.config.pixel_noise else np.zeros_like(image)
        )
        planes = [mask, intensities, noise]
        if self.trains_on_texture and self.config.texture:
            planes.append(self.conditioning.texture(sample.labels, position))
        return image, np.concatenate(planes)

    def encode_mask(self, labels: LabelMap) -> Planes:
        """Return the planes of a mask, ``(mask_planes, H, W)`` float32, −1 … 1: the codec's, and the boundary map.

        Parameters
        ----------
        labels
            ``(H, W)``.
        """
        planes = self.codec.encode_mask(labels)
        if self.mask_planes == len(planes):
            return planes
        return np.concatenate([planes, 2 * boundaries(labels)[None].astype(np.float32) - 1])

    @property
    def mask_planes(self) -> int:
        """Number of planes of an encoded mask."""
        return self.codec.mask_planes + (self.sees_boundaries and self.codec.mask_encoding != "classes")

    @property
    def sees_boundaries(self) -> bool:
        """Whether masks of instances have a further plane, the boundary map of `masks.objects.boundaries`."""
        return False

    def encode_unlabelled(self, sample: Sample) -> tuple[Planes, Planes]:
        """Return the image planes of an unlabelled image, and zeros in place of the planes that belong to it.

        Zeros as a condition stand for no condition. Only generators whose configuration is a
        `synthbench.toolkit.generators.unlabelled.UnlabelledConfig` get unlabelled images.
        """
        image = self.codec.encode_other_image(sample.image)
        planes = self.mask_planes + self.conditioning.planes + self.codec.image_planes
        return image, np.zeros((planes, *image.shape[1:]), np.float32)

    def batch(self, image: torch.Tensor, planes: torch.Tensor) -> ConditionedBatch:
        """Return stacked results of `encode` as a batch."""
        sizes = [self.mask_planes, self.conditioning.planes, self.codec.image_planes]
        return ConditionedBatch(image, *torch.split(planes, [*sizes, planes.shape[1] - sum(sizes)], dim=1))

    @property
    def condition_planes(self) -> int:
        """Number of planes of a condition: the mask's, and the intensities'."""
        return self.mask_planes + self.conditioning.planes

    def condition(self, mask: torch.Tensor, intensities: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of masks and intensities: ``(B, condition_planes, H, W)``."""
        return conditioning_planes(mask, intensities, self.conditioning.object_planes)


@dataclass(frozen=True)
class ConditionedBatch:
    """Training patches, and what belongs to them; float32, on the device that trains.

    Attributes
    ----------
    image : torch.Tensor
        ``(B, image_planes, H, W)``, −1 … 1.
    mask : torch.Tensor
        ``(B, mask_planes, H, W)``, −1 … 1, as `ConditionedGenerator.encode_mask` returns it.
    intensities : torch.Tensor
        ``(B, N, H, W)``, the planes of `IntensityConditioning`; N is 0 without intensity conditioning.
    pixel_noise : torch.Tensor
        ``(B, image_planes, H, W)``, the standard deviation of the image's pixel noise; 0 where it isn't modelled.
    texture : torch.Tensor
        ``(B, M, H, W)``, the strength of the objects' texture; M is 0 where training doesn't use it.
    """

    image: torch.Tensor
    mask: torch.Tensor
    intensities: torch.Tensor
    pixel_noise: torch.Tensor
    texture: torch.Tensor


class ConditionedBatches:
    """The batches of a training by step: ``batches[number]`` is a `ConditionedBatch`.

    Parameters
    ----------
    generator
        Its codec and its conditioning are fitted; its network isn't trained yet.
    train
    context
    """

    def __init__(self, generator: ConditionedGenerator[ConfigT], train: SampleSet, context: Context) -> None:
        self._split = generator.batch

        def encode(sample: Sample) -> tuple[Planes, Planes]:
            if is_unlabelled(sample):
                return generator.encode_unlabelled(sample)
            return generator.encode(sample, train.position(sample.id))

        mix = mix_with_unlabelled(train, generator.config, context)
        stream = PatchStream(mix, context.budget, context.seed, encode=encode, augment_intensity=False)
        self._batches = Batches(stream, context.device)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._batches)

    def slots(self, number: int) -> list[Slot]:
        """Return the slots of the patch stream that a step's patches come from."""
        return self._batches.stream.slots(number)

    def __getitem__(self, number: int) -> ConditionedBatch:
        """Return the batch of a step; raise `IndexError` past the last."""
        return self._split(*self._batches[number])
