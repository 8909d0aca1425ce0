"""Image intensities. Import from the modules; importing this package imports none of them.

images
    `normalise` for segmenters, `to_channels` between grey and RGB.
normalisation
    `IntensityNormalisation`: the value range of a generator's network, and back.
intensity_statistics
    Statistics of an image and of its objects.
conditioning
    `IntensityConditioning`: intensity statistics as input planes of a generator.
texture
    Texture of objects, measured and added.
pixel_noise
    Noise of single pixels, measured and added.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["conditioning", "images", "intensity_statistics", "normalisation", "pixel_noise", "texture"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
