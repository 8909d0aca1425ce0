"""Label maps. Import from the modules; importing this package imports none of them.

sampler
    `MaskSampler` makes new label maps from training masks.
config
    `MaskConfig`: the configuration keys of mask-to-image generators.
objects
    Areas and cut-outs of objects, and `relabel` for label maps that were cropped, warped or generated.
placement
    `Canvas` places objects without overlap.
codec
    `ImageMaskCodec` encodes samples as planes of image and mask, and decodes them.
distance
    Instances as a distance map and the foreground, decoded by a watershed.
flows
    Instances as Cellpose's flows to the objects' centres; needs the library cellpose.
graph_colouring
    Instances as grey levels that differ between neighbours.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["codec", "config", "distance", "flows", "graph_colouring", "objects", "placement", "sampler"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
