"""The Cellpose library: imported without chatter, and only when it is used."""

from __future__ import annotations

from typing import Any

import torch

from synthbench.toolkit.masks.flows import dynamics


def model(channels: int, diam_mean: float, device: str) -> Any:
    """Return an untrained ``cellpose.models.CellposeModel``; its weights are drawn from torch's global generator.

    They lie in memory channels last, which takes a fifth less time on a CPU.
    """
    dynamics()
    from cellpose.models import CellposeModel

    made = CellposeModel(
        pretrained_model=False, mkldnn=False, nchan=channels, diam_mean=diam_mean, device=torch.device(device)
    )
    made.net.to(memory_format=torch.channels_last)
    return made


def bare_network(channels: int) -> Any:
    """Return the network alone, with the library's sizes, on torch's default device."""
    dynamics()
    from cellpose.resnet_torch import CPnet

    return CPnet([channels, 32, 64, 128, 256], 3, sz=3)


def median_diameter(labels: Any) -> float:
    """Return Cellpose's diameter of an image: that of a disc of the median object's area; 0 without objects."""
    dynamics()
    from cellpose.utils import diameters

    return float(diameters(labels)[0]) if labels.any() else 0.0
