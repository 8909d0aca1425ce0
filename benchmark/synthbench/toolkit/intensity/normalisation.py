"""Between real images and the range that a generator's network works in.

Micrographs of one dataset differ much in brightness and background, so each is scaled by its own range, and what is
drawn gets the range, the dtype and the channels of one training image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synthbench.toolkit.intensity.images import to_channels

LOW, HIGH = 0.1, 99.9
"""Percentiles of each channel of an image that become −1 and 1; what lies beyond is clipped."""
MIN_EXPONENT = 0.5
"""Smallest exponent: the square root, which evens out the noise of counted photons."""


@dataclass(frozen=True)
class IntensityNormalisation:
    """The range of one training image.

    Attributes
    ----------
    floor, top : tuple of float
        The `LOW` and `HIGH` percentiles of each channel, in grey levels; further where the objects are so few that most
        of their pixels would lie beyond.
    channels : int
        1 or 3.
    dtype : str
        ``"uint8"`` or ``"uint16"``.
    """

    floor: tuple[float, ...]
    top: tuple[float, ...]
    channels: int
    dtype: str

    @classmethod
    def from_image(cls, image: np.ndarray, objects: np.ndarray | None = None) -> IntensityNormalisation:
        """Measure an image.

        Parameters
        ----------
        image
            ``(height, width[, 3])``, uint8 or uint16.
        objects
            ``(height, width)``, where there are any: their median is within the range.
        """
        planes = _planes(image)
        floor, top = np.percentile(planes, (LOW, HIGH), axis=(1, 2))
        if objects is not None and objects.any():
            typical = np.median(planes[:, objects > 0], axis=1)
            floor, top = np.minimum(floor, typical), np.maximum(top, typical)
        return cls(tuple(floor.tolist()), tuple(top.tolist()), len(planes), image.dtype.name)

    def normalise(self, image: np.ndarray, exponent: float) -> np.ndarray:
        """Return an image ``(height, width[, 3])`` as ``(channels, height, width)`` float32 in −1 … 1.

        A share s of the range becomes ``2 s^exponent − 1``; a constant channel becomes −1.
        """
        floor, span = self._span()
        share = np.clip((_planes(image) - floor) / span, 0.0, 1.0)
        return (2.0 * share**exponent - 1.0).astype(np.float32)

    def denormalise(self, planes: np.ndarray, exponent: float) -> np.ndarray:
        """Return planes in −1 … 1 as an image of this range, dtype and number of channels: what undoes `normalise`."""
        floor, span = self._span()
        share = (np.clip(to_channels(planes, self.channels), -1.0, 1.0) + 1.0) / 2.0
        values = np.rint(share.astype(np.float64) ** (1.0 / exponent) * span + floor)
        image = np.moveaxis(values, 0, -1).clip(0, np.iinfo(self.dtype).max).astype(self.dtype)
        return np.ascontiguousarray(image if self.channels == 3 else image[..., 0])

    def _span(self) -> tuple[np.ndarray, np.ndarray]:
        floor, top = (np.array(values)[:, None, None] for values in (self.floor, self.top))
        return floor, np.where(top > floor, top - floor, 1.0)


def fit_exponent(images: Iterable[np.ndarray]) -> float:
    """Return the exponent, `MIN_EXPONENT` … 1, that brings the median of the images nearest to the middle of the range.

    Fluorescence, mostly dark, gets the square root; phase contrast and stained tissue stay linear.
    """
    shares = [
        (np.median(IntensityNormalisation.from_image(image).normalise(image, 1.0)) + 1.0) / 2.0 for image in images
    ]
    typical = float(np.clip(np.median(shares), 1e-3, 0.999))
    return float(np.clip(np.log(0.5) / np.log(typical), MIN_EXPONENT, 1.0))


def _planes(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float64)
