"""InstanSeg for other programs: the network's planes; its decoding has a loop over seeds that can't be traced."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from synthbench import NetworkExport
from synthbench.toolkit.intensity.images import as_rgb
from synthbench.types import FloatArray, Image
from synthbench_instanseg.config import STRIDE
from synthbench_instanseg.segmenter import InstanSeg


class Planes(nn.Module):
    """The network on images of any number of channels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the planes that are decoded, ``(B, 5, H, W)``."""
        planes: torch.Tensor = self.network(as_rgb(images))
        return planes


def export(segmenter: InstanSeg, folder: Path) -> NetworkExport:
    """Return the network; see `synthbench.plugin.exports`."""
    thresholds = ", ".join(f"{name} {value:g}" for name, value in segmenter.thresholds.items())

    def as_planes(image: Image) -> FloatArray:
        found: FloatArray = segmenter.output(image).cpu().numpy()
        return found

    decoding = (
        "Decoded by the library instanseg with the network's classifier of pixels, which is in the weights of the "
        f"training and not in this file (thresholds: {thresholds})."
    )
    names = ("offset y", "offset x", "sigma 1", "sigma 2", "seed")
    return NetworkExport(Planes(segmenter.network), segmenter.channels, names, STRIDE, decoding, as_planes)
