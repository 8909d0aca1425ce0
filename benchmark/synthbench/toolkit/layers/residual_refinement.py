"""Residual refinement: a correction at full resolution after a network that works at a lower one."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["ResidualRefinement"]

_WIDTH = 16
"""Channels between the two convolutions."""


class ResidualRefinement(nn.Module):
    """Adds the output of two 5×5 convolutions to planes; the last one starts at 0, so the planes start unchanged.

    Where the pixels of a square come from different weights (`torch.nn.functional.pixel_shuffle`), a short training
    leaves a pattern with the period of the square. Convolutions at full resolution treat all pixels alike and can
    remove it.

    Parameters
    ----------
    planes
        Number of planes to refine.
    context
        Number of further planes that the convolutions see.
    """

    def __init__(self, planes: int, context: int) -> None:
        super().__init__()
        last = nn.Conv2d(_WIDTH, planes, 5, padding=2)
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.convolutions = nn.Sequential(nn.Conv2d(planes + context, _WIDTH, 5, padding=2), nn.SiLU(), last)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return the refined planes, ``(B, planes, H, W)``.

        Parameters
        ----------
        x
            ``(B, planes, H, W)``.
        context
            ``(B, context, H, W)``.
        """
        refined: torch.Tensor = x + self.convolutions(torch.cat([x, context], dim=1))
        return refined
