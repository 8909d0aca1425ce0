"""Takes off the pattern of a network that treats the pixels of a square, or of a code, unlike each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F


def places(period: int) -> list[tuple[int, int]]:
    """Return `period` places ``(row, column)`` of a square of that side, each of its rows and columns once."""
    return list(enumerate([*range(0, period, 2), *range(1, period, 2)]))


def evened(
    apply: Callable[[torch.Tensor], torch.Tensor], planes: torch.Tensor, period: int, multiple: int
) -> torch.Tensor:
    """Return the mean of what a network makes of planes that lie at `period` places under its pattern.

    What is different at each pixel of a square, row by row and column by column, is gone from the mean ("cycle
    spinning", Coifman & Donoho 1995). Planes are moved by mirroring more of them in at one side; where they are too
    small for that, by repeating their edge.

    Parameters
    ----------
    apply
        Maps ``(B, C, H, W)`` to ``(B, K, H, W)``.
    planes
        ``(B, C, H, W)``; sides are multiples of `multiple`.
    period
        Side of the squares; 1 for none.
    multiple
        Of which the sides that `apply` is given have to be, `period` or more.
    """
    if period == 1:
        return apply(planes)
    height, width = planes.shape[2:]
    found, mode = [], "reflect" if multiple < min(height, width) else "replicate"
    for place in places(period):
        top, left = ((multiple - period) // 2 + moved for moved in place)
        moved = F.pad(planes, (left, multiple - left, top, multiple - top), mode=mode)
        found.append(apply(moved)[:, :, top : top + height, left : left + width])
    return torch.stack(found).mean(dim=0)
