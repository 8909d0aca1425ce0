"""Crops of samples for pages, and pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthbench.samples import Sample
from synthbench.types import AnyArray

__all__ = ["SIDE", "crop", "crop_sample", "side_by_side"]

SIDE = 256
"""Side of the crop that is shown, in pixels."""

_GAP = 4


def crop(labels: AnyArray, side: int = SIDE) -> tuple[slice, slice]:
    """Choose the square of at most `side` pixels, of nine evenly placed ones, where most pixels are labelled.

    Of equal ones the most central is taken.
    """
    height, width = labels.shape
    side = min(height, width, side)
    tops = [(height - side) * k // 2 for k in (1, 0, 2)]
    lefts = [(width - side) * k // 2 for k in (1, 0, 2)]
    windows = [(slice(top, top + side), slice(left, left + side)) for top in tops for left in lefts]
    return max(windows, key=lambda window: int((labels[window] > 0).sum()))


def crop_sample(sample: Sample, side: int = SIDE) -> Sample:
    """Return the part of a sample that `crop` chooses, with its ignore region and without its groups."""
    window = crop(sample.labels, side)
    ignore = None if sample.ignore is None else sample.ignore[window]
    return Sample(sample.id, sample.image[window], sample.labels[window], ignore=ignore)


def side_by_side(sides: Sequence[AnyArray]) -> AnyArray:
    """Return two pictures of one size with a transparent gap between them: ``(height, 2 · width + 4, 4)`` uint8."""
    height, width = sides[0].shape[:2]
    out = np.zeros((height, 2 * width + _GAP, 4), np.uint8)
    for picture, left in zip(sides, (0, width + _GAP), strict=True):
        out[:, left : left + width, :3] = picture
        out[:, left : left + width, 3] = 255
    return out
