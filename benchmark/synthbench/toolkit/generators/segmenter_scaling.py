"""Images of a generator in training as segmenters see images, with gradients: for training both together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from synthbench.samples import SampleSet
from synthbench.toolkit.intensity.images import HIGH_PERCENTILE, LOW_PERCENTILE
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training.patches import Slot
from synthbench.types import FloatArray

__all__ = ["SegmenterScaling"]

_SMALLEST = 1e-6
"""Values below are raised to it before a power below 1 is taken, whose slope has no limit at 0."""


class SegmenterScaling:
    """Maps a codec's image planes of training images to the scaling of `synthbench.toolkit.intensity.images.normalise`.

    Both scale an image by percentiles of its own, so for each training image the map is one power and one straight line
    per channel.

    Parameters
    ----------
    train
        The training samples.
    codec
        Fitted to them.
    device
    """

    def __init__(self, train: SampleSet, codec: ImageMaskCodec, device: torch.device) -> None:
        self.exponent = codec.exponent
        slopes, shifts = zip(*(self._line(train, codec, position) for position in range(len(train))), strict=True)
        self._slope, self._shift = (
            torch.tensor(np.stack(values), dtype=torch.float32, device=device)[..., None, None]
            for values in (slopes, shifts)
        )

    @staticmethod
    def _line(train: SampleSet, codec: ImageMaskCodec, position: int) -> tuple[FloatArray, FloatArray]:
        """Return slope and shift of each image plane, ``(image_planes,)``."""
        image = np.atleast_3d(train[position].image).astype(np.float32)
        bottom, top = np.percentile(image, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=(0, 1))
        normalisation = codec.normalisations[position]
        low, high = np.array(normalisation.low), np.array(normalisation.high)
        span, width = np.where(high > low, high - low, 1.0), top - bottom
        known = width > 0
        slope = np.where(known, span / np.where(known, width, 1.0), 0.0)
        shift = np.where(known, (low - bottom) / np.where(known, width, 1.0), 0.0)
        return np.resize(slope, codec.image_planes), np.resize(shift, codec.image_planes)

    def __call__(self, images: torch.Tensor, slots: Sequence[Slot]) -> torch.Tensor:
        """Return images scaled and augmented as the real patches of the same slots are.

        Parameters
        ----------
        images
            ``(B, C, H, W)``, −1 … 1: drawn for the masks of the slots.
        slots
            Of the patch stream, one for each image.

        Returns
        -------
        torch.Tensor
            ``(B, C, H, W)`` float32.
        """
        positions = [slot.index for slot in slots]
        fraction = ((images.float() + 1) / 2).clamp(0, 1)
        values = fraction ** (1 / self.exponent) * self._slope[positions] + self._shift[positions]
        columns = torch.tensor([(s.gain, s.offset, s.gamma) for s in slots], device=values.device)
        gain, offset, gamma = (column[:, None, None, None] for column in columns.unbind(1))
        return gain * torch.where(values > 0, values.clamp(min=_SMALLEST) ** gamma, values) + offset
