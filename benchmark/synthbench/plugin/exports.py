"""What a plugin says of how its segmenter leaves synthbench: a part of the contract that is optional.

A plugin package may have a module `MODULE` with a function ``export(segmenter, folder)``. It is imported when a model
is exported, and never else; it is no part of store keys, and no other module of the package may import it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.types import AnyArray, Image

__all__ = ["MODULE", "ExportedModel", "NetworkExport"]

MODULE = "synthbench_export"
"""Name of the module in a plugin's package."""


@dataclass(frozen=True)
class NetworkExport:
    """A torch network that maps normalised images to planes; it becomes TorchScript with a BioImage.IO description.

    Attributes
    ----------
    network : torch.nn.Module
        ``(B, C, H, W)`` float32 → ``(B, K, H, W)`` float32, in evaluation mode, on the CPU.
    channels : int
        C.
    planes : tuple of str
        What each of the K planes is, in a word or two.
    multiple : int
        H and W are multiples of this.
    decoding : str
        How planes become a label map, with the thresholds: a paragraph of Markdown.
    as_planes : callable
        An image, ``(height, width[, channels])`` → what the segmenter itself gets from its network, ``(K, H, W)``: the
        oracle that the exported network is compared with. Sides are multiples of `multiple`.
    percentiles : (float, float)
        Of each channel of an image; they become 0 and 1 before the network.
    """

    network: Any
    channels: int
    planes: tuple[str, ...]
    multiple: int
    decoding: str
    as_planes: Callable[[Image], AnyArray]
    percentiles: tuple[float, float] = (1.0, 99.8)


@dataclass(frozen=True)
class ExportedModel:
    """A model that the plugin has written in its library's own format.

    Attributes
    ----------
    format : str
        Such as ``"Cellpose 3"``.
    usage : str
        How it is opened and called, with its thresholds: Markdown.
    compare : callable
        ``compare(image)`` opens what was written with the library, and returns the largest absolute difference between
        its output and that of the segmenter, and the largest absolute value.
    """

    format: str
    usage: str
    compare: Callable[[Image], tuple[float, float]]


ExportFunction = Callable[[Any, Path], NetworkExport | ExportedModel]
