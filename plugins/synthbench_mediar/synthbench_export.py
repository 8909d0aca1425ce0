"""MEDIAR for other programs: flows and the logit of the inside, averaged over mirror images as it predicts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from synthbench import NetworkExport
from synthbench.toolkit.intensity.images import as_rgb, normalise, to_channels
from synthbench.types import FloatArray, Image
from synthbench_mediar.config import STRIDE
from synthbench_mediar.segmenter import Mediar, predict_mirrored


class Mirrored(nn.Module):
    """The network on images of any number of channels."""

    def __init__(self, network: nn.Module, tta: bool) -> None:
        super().__init__()
        self.network = network
        self.tta = tta

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return flow y, flow x and logit of the inside, ``(B, 3, H, W)``."""
        return predict_mirrored(self.network, as_rgb(images), tta=self.tta)


def export(segmenter: Mediar, folder: Path) -> NetworkExport:
    """Return the network; see `synthbench.plugin.exports`."""
    thresholds = ", ".join(f"{name} {value:g}" for name, value in segmenter.thresholds.items())
    network = Mirrored(segmenter.network, segmenter.config.flip_tta)

    def as_planes(image: Image) -> FloatArray:
        planes = torch.from_numpy(to_channels(normalise(image), segmenter.channels))[None]
        with torch.inference_mode():
            found: FloatArray = predict_mirrored(segmenter.network, as_rgb(planes), tta=segmenter.config.flip_tta)[
                0
            ].numpy()
        return found

    decoding = f"Cellpose's dynamics: pixels follow the flow to the centre of their object (thresholds: {thresholds})."
    names = ("flow y", "flow x", "inside")
    return NetworkExport(network, segmenter.channels, names, STRIDE, decoding, as_planes)
