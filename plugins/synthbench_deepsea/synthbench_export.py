"""DeepSea for other programs: the probabilities of cells and of touching edges."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from synthbench import NetworkExport
from synthbench_deepsea.segmenter import MULTIPLE, DeepSea


class Probabilities(nn.Module):
    """The network with the scaling of its input and the softmax of its output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of cells and edges, ``(B, 2, H, W)``."""
        cells, edges = self.network(2 * images - 1)
        return torch.cat([cells.softmax(dim=1)[:, 1:], edges.softmax(dim=1)[:, 1:]], dim=1)


def export(segmenter: DeepSea, folder: Path) -> NetworkExport:
    """Return the network; see `synthbench.plugin.exports`."""
    thresholds = ", ".join(f"{name} {value:g}" for name, value in segmenter.thresholds.items()) or "none"
    decoding = (
        f"Decoded by `synthbench_deepsea.targets` (decoding {segmenter.config.decoding}; thresholds: {thresholds})."
    )
    network = Probabilities(segmenter.network)
    return NetworkExport(network, segmenter.channels, ("cell", "edge"), MULTIPLE, decoding, segmenter.output)
