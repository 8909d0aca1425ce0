"""Masks and images from independent patch streams: what lies at one place of a batch doesn't belong together.

No image is measured with its mask, either: ranges and pixel noise are those of whole images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synthbench import Context, Sample, SampleSet, TrainingMix
from synthbench.toolkit.generators.mask_to_image import ConditionedBatch, ConditionedBatches
from synthbench.toolkit.intensity.normalisation import IntensityNormalisation
from synthbench.toolkit.intensity.pixel_noise import measure_noise
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.rng import torch_seed
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.patches import PatchStream
from synthbench.types import FloatArray, Planes

__all__ = ["UnpairedBatches", "unpaired_codec"]

_STREAM = "cyclegan.{}"


class UnpairedBatches(ConditionedBatches):
    """The batches of a training by step: masks of training samples, and images of others or of the same.

    Images without labels count as much as training images. Of the pixel noise of a batch, each image has its own.

    Parameters
    ----------
    codec
        See `unpaired_codec`.
    train
    context
        Its `unlabelled` images are used, if there are any.
    """

    def __init__(self, codec: ImageMaskCodec, train: SampleSet, context: Context) -> None:
        self.codec = codec
        unlabelled = context.unlabelled
        images = TrainingMix(train)
        if unlabelled is not None and len(unlabelled):
            images = TrainingMix(train, unlabelled, len(unlabelled) / (len(train) + len(unlabelled)))
        self._masks, self._images = (
            Batches(
                PatchStream(
                    mix,
                    context.budget,
                    torch_seed(context.seed, _STREAM.format(domain)),
                    encode=encode,
                    augment_intensity=False,
                ),
                context.device,
            )
            for domain, mix, encode in (
                ("masks", TrainingMix(train), self._encode_mask),
                ("images", images, self._encode_image),
            )
        )

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._masks)

    def __getitem__(self, number: int) -> ConditionedBatch:
        """Return the batch of a step, without intensities and texture; raise `IndexError` past the last."""
        image, pixel_noise = self._images[number]
        _, mask = self._masks[number]
        return ConditionedBatch(image, mask, mask[:, :0], pixel_noise, mask[:, :0])

    def _encode_mask(self, sample: Sample) -> tuple[Planes, Planes]:
        """Return an empty image, and the planes of the mask."""
        empty = np.zeros((self.codec.image_planes, *sample.labels.shape), np.float32)
        return empty, self.codec.encode_mask(sample.labels)

    def _encode_image(self, sample: Sample) -> tuple[Planes, Planes]:
        """Return the planes of an image, and the standard deviation of its pixel noise."""
        image = self.codec.encode_other_image(sample.image)
        return image, np.broadcast_to(_noise_of(image)[:, None, None], image.shape).astype(np.float32)


def unpaired_codec(train: SampleSet) -> ImageMaskCodec:
    """Return a codec whose ranges and pixel noise of images were measured without their masks."""
    codec = ImageMaskCodec.of(train, "distance", 1)
    classes = len(codec.pixel_noise[0])
    noise = [_noise_of(codec.encode_other_image(sample.image)) for sample in train]
    return replace(
        codec,
        normalisations=tuple(IntensityNormalisation.from_image(sample.image) for sample in train),
        pixel_noise=tuple([of_image.tolist()] * classes for of_image in noise),
    )


def _noise_of(planes: Planes) -> FloatArray:
    """Return the standard deviation of the pixel noise of an image, ``(channels,)`` float32."""
    (noise,) = measure_noise(planes, np.zeros(planes.shape[1:], np.int32), 1)
    return np.asarray(noise)
