"""The U-Net for other programs: its network with the activation, averaged over mirror images as it predicts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from synthbench import NetworkExport
from synthbench_unet.network import STRIDE, Predictor
from synthbench_unet.segmenter import UNet

PLANES = {1: ("foreground",), 2: ("distance", "foreground")}


class Activated(nn.Module):
    """What a predictor returns for a whole image."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network = predictor.network
        self.activation = predictor.activation
        self.flips = predictor.flips

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return activated planes, ``(B, K, H, W)``."""
        total = torch.zeros(())
        for axes in self.flips:
            planes = self.activation(self.network(images.flip(axes)))
            total = total + planes.flip(axes)
        return total / len(self.flips)


def export(segmenter: UNet, folder: Path) -> NetworkExport:
    """Return the network; see `synthbench.plugin.exports`."""
    semantic = segmenter.task == "semantic"
    names = tuple(f"class {k}" for k in range(segmenter.head.planes)) if semantic else PLANES[segmenter.head.planes]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in segmenter.thresholds.items())
    if semantic:
        decoding = "The class of a pixel is the plane with the highest value."
    elif len(names) == 1:
        decoding = f"Objects are the connected components of the foreground above a threshold ({thresholds})."
    else:
        decoding = (
            "Objects are found by a watershed on the distance within the foreground "
            f"(`synthbench.toolkit.masks.distance`; thresholds: {thresholds})."
        )
    return NetworkExport(Activated(segmenter.predictor), segmenter.channels, names, STRIDE, decoding, segmenter.output)
