"""Statistics of brightness, contrast and gradients: features without a network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from synthbench import Encoder

SCALES = (1.0, 2.0, 4.0)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Texture(Encoder):
    """27 numbers: quantiles of the brightness, and of the gradient and the contrast at three scales.

    Images are scaled to 0 … 1 by the range of their type; RGB is averaged to grey.
    """

    def encode(self, images: Iterable[np.ndarray]) -> np.ndarray:
        return np.stack([_features(image) for image in images])

    def fingerprint(self) -> str:
        return f"texture 1, scales {SCALES}, quantiles {QUANTILES}"


def _features(image: np.ndarray) -> np.ndarray:
    light = image / np.iinfo(image.dtype).max
    grey = light.mean(axis=2) if light.ndim == 3 else light
    contrast = [ndimage.gaussian_filter(grey**2, scale) - ndimage.gaussian_filter(grey, scale) ** 2 for scale in SCALES]
    return np.concatenate(
        [
            np.quantile(grey, QUANTILES),
            [grey.mean(), grey.std()],
            *(np.quantile(ndimage.gaussian_gradient_magnitude(grey, scale), QUANTILES) for scale in SCALES),
            [float(np.sqrt(max(np.median(local), 0.0))) for local in contrast],
            [float(np.abs(np.diff(grey, axis=axis)).mean()) for axis in (0, 1)],
        ]
    )
