"""Padding by reflection of planes of any size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

__all__ = ["at_multiple", "extend_by_reflection"]


def extend_by_reflection(x: torch.Tensor, below: int, right: int) -> torch.Tensor:
    """Extend planes downwards and to the right by reflection, repeatedly where the planes are small.

    Parameters
    ----------
    x
        ``(B, C, H, W)``; a side of one pixel is repeated.
    below, right
        Rows and columns that are added.
    """
    while below or right:
        down, over = min(below, x.shape[-2] - 1), min(right, x.shape[-1] - 1)
        if (below and not down) or (right and not over):
            return functional.pad(x, (0, right, 0, below), mode="replicate")
        x = functional.pad(x, (0, over, 0, down), mode="reflect")
        below, right = below - down, right - over
    return x


def at_multiple(network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Apply a network whose input sides must be multiples of a number to planes of any size.

    The planes are extended by reflection, and the result is cropped to their size.

    Parameters
    ----------
    network
        Maps ``(B, C, H, W)`` to ``(B, K, H, W)``.
    x
        ``(B, C, H, W)``.
    multiple
    """
    height, width = x.shape[-2:]
    return network(extend_by_reflection(x, -height % multiple, -width % multiple))[..., :height, :width]
