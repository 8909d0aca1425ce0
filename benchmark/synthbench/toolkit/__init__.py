"""What plugin authors share. Import from the modules; importing a package imports none of its modules.

generators
    Base classes of trained generators.
segmenters
    Base class of segmenters with one torch network.
training
    Patches and batches, the training loop, augmentation, schedules, thresholds, files of weights.
masks
    New masks from training masks, and encodings of masks and images as planes.
intensity
    Normalisation, intensity statistics and conditioning on them, texture, pixel noise.
layers
    Building blocks of networks, and ways to apply a network to an image.
rng
    Streams of random numbers that are identified by a name.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["generators", "intensity", "layers", "masks", "rng", "segmenters", "training"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
