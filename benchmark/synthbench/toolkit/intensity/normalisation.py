"""Scaling of images to the value range of a generator's network, and back.

The images of one dataset differ in brightness and background, so each is scaled by its own range, and a generated image
gets the range, the dtype and the channels of one training image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthbench.toolkit.intensity.images import to_channels
from synthbench.types import Image, LabelMap, Planes

__all__ = ["IntensityNormalisation", "fit_exponent"]

LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9
"""Percentiles of each channel that become −1 and 1; values beyond are clipped."""
MIN_EXPONENT = 0.5
"""Smallest exponent: the square root, which makes the noise of counted photons independent of the intensity."""


@dataclass(frozen=True)
class IntensityNormalisation:
    """The scaling of one training image.

    Attributes
    ----------
    low, high : tuple of float
        The grey values of each channel that become −1 and 1: percentiles of the image, and further apart where the
        objects are so few that most of their pixels would be clipped.
    channels : int
        1 … 4.
    dtype : str
        ``"uint8"`` or ``"uint16"``.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    channels: int
    dtype: str

    @classmethod
    def from_image(cls, image: Image, objects: LabelMap | None = None) -> IntensityNormalisation:
        """Return the scaling of an image.

        Parameters
        ----------
        image
            ``(height, width[, channels])``, uint8 or uint16.
        objects
            Label map ``(height, width)``; the median of the objects is kept within the range.
        """
        planes = _planes(image)
        low, high = np.percentile(planes, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=(1, 2))
        if objects is not None and objects.any():
            median = np.median(planes[:, objects > 0], axis=1)
            low, high = np.minimum(low, median), np.maximum(high, median)
        return cls(tuple(low.tolist()), tuple(high.tolist()), len(planes), image.dtype.name)

    def normalise(self, image: Image, exponent: float) -> Planes:
        """Return an image ``(height, width[, channels])`` as ``(channels, height, width)`` float32 in −1 … 1.

        A value at the fraction f of the range becomes ``2 f^exponent − 1``. A constant channel becomes −1.
        """
        low, span = self._range()
        fraction = np.clip((_planes(image) - low) / span, 0.0, 1.0)
        return (2.0 * fraction**exponent - 1.0).astype(np.float32)

    def denormalise(self, planes: Planes, exponent: float) -> Image:
        """Return planes in −1 … 1 as an image with this range, dtype and channels: the inverse of `normalise`.

        Parameters
        ----------
        planes
            ``(channels, height, width)``, or grey for RGB, or RGB for grey; values beyond −1 … 1 are clipped.
        exponent
            As for `normalise`.
        """
        low, span = self._range()
        fraction = (np.clip(to_channels(planes, self.channels), -1.0, 1.0) + 1.0) / 2.0
        values = np.rint(fraction.astype(np.float64) ** (1.0 / exponent) * span + low)
        image = np.moveaxis(values, 0, -1).clip(0, np.iinfo(self.dtype).max).astype(self.dtype)
        return np.ascontiguousarray(image[..., 0] if self.channels == 1 else image)

    def _range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = (np.array(values)[:, None, None] for values in (self.low, self.high))
        return low, np.where(high > low, high - low, 1.0)


def fit_exponent(images: Iterable[Image]) -> float:
    """Return the exponent, `MIN_EXPONENT` … 1, that brings the median of the images closest to the middle of the range.

    Fluorescence images, which are mostly dark, get the square root; phase contrast and stained tissue stay linear.
    """
    normalised = (IntensityNormalisation.from_image(image).normalise(image, 1.0) for image in images)
    medians = [(np.median(planes) + 1.0) / 2.0 for planes in normalised]
    median = float(np.clip(np.median(medians), 1e-3, 0.999))
    return float(np.clip(np.log(0.5) / np.log(median), MIN_EXPONENT, 1.0))


def _planes(image: Image) -> NDArray[np.float64]:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float64)
