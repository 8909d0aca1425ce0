"""Takes off the grid of dots that folded pixels leave, at full resolution."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 16
"""Planes between the two convolutions."""


class Mending(nn.Module):
    """Adds to planes what two 5×5 convolutions find in them; nothing, in the beginning.

    Where each pixel of a square comes from other weights than its neighbours, a short training leaves a pattern of the
    size of the square. Convolutions at full resolution treat all pixels alike, and cost little.

    Parameters
    ----------
    planes
    beside
        Planes that are seen too.
    """

    def __init__(self, planes: int, beside: int) -> None:
        super().__init__()
        last = nn.Conv2d(WIDTH, planes, 5, padding=2)
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.convolutions = nn.Sequential(nn.Conv2d(planes + beside, WIDTH, 5, padding=2), nn.SiLU(), last)

    def forward(self, x: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        """Return ``(B, planes, H, W)``, given that and ``(B, beside, H, W)``."""
        mended: torch.Tensor = x + self.convolutions(torch.cat([x, beside], dim=1))
        return mended
