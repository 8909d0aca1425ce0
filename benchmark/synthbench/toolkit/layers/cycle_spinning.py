"""Cycle spinning: predictions averaged over shifts of the input remove a periodic pattern of the network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

__all__ = ["cycle_spin", "shifts"]


def shifts(period: int) -> list[tuple[int, int]]:
    """Return `period` shifts ``(row, column)`` that take each row and each column of a square once.

    Parameters
    ----------
    period
        Side of the square, ≥ 1.
    """
    return list(enumerate([*range(0, period, 2), *range(1, period, 2)]))


def cycle_spin(
    apply: Callable[[torch.Tensor], torch.Tensor], planes: torch.Tensor, period: int, multiple: int
) -> torch.Tensor:
    """Return the mean of a network's predictions for shifted copies of its input (Coifman & Donoho 1995).

    A network that treats the pixels of a square differently, such as one that works on `pixel_unshuffle`d images or on
    codes of squares, leaves a pattern with the period of that square. The mean over `shifts` removes the part of the
    pattern that depends on the row or on the column alone. Shifted planes are padded by reflection, or by repeating
    their edge where they are too small to reflect.

    Parameters
    ----------
    apply
        Maps ``(B, C, H, W)`` to ``(B, K, H, W)``.
    planes
        ``(B, C, H, W)``; H and W are multiples of `multiple`.
    period
        Side of the squares in pixels; with 1, `apply` is called once and nothing is shifted.
    multiple
        The sides that `apply` is given must be multiples of this; ≥ `period`.

    Returns
    -------
    torch.Tensor
        ``(B, K, H, W)``.
    """
    if period == 1:
        return apply(planes)
    height, width = planes.shape[2:]
    predictions, mode = [], "reflect" if multiple < min(height, width) else "replicate"
    for shift in shifts(period):
        top, left = ((multiple - period) // 2 + pixels for pixels in shift)
        shifted = F.pad(planes, (left, multiple - left, top, multiple - top), mode=mode)
        predictions.append(apply(shifted)[:, :, top : top + height, left : left + width])
    return torch.stack(predictions).mean(dim=0)
