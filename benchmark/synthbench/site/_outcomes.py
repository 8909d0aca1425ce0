"""Pictures of what a segmenter found, missed and made up, in a part of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from synthbench.metrics.overlap import overlap
from synthbench.samples import Task
from synthbench.samples.pictures import draw_classes, inner_boundaries, stretch_contrast, under_annotation
from synthbench.types import AnyArray

__all__ = ["EXTRA", "FOUND", "MISSED", "Panes", "draw_panes", "most_different"]

SIDE = 160
"""Pixels of the part of an image that is shown, at most, in height and width."""
SCALE = 2
FOUND, EXTRA, MISSED = (0, 229, 255), (255, 145, 0), (255, 64, 129)
"""Colours of outlines."""
_GROUND = 34
_IOU = 0.5
_STEP = 4


@dataclass(frozen=True)
class Panes:
    """Pictures ``(height, width, 3)`` uint8 of one part of an image.

    Attributes
    ----------
    truth : ndarray or None
        With the outlines of the true objects; None where the image isn't at hand.
    real, arm : ndarray
        With the predictions after training on real images alone, and on those of the arm.
    """

    truth: AnyArray | None
    real: AnyArray
    arm: AnyArray


def draw_panes(
    real: AnyArray, arm: AnyArray, task: Task, image: AnyArray | None = None, truth: AnyArray | None = None
) -> Panes:
    """Draw two predictions over the part of an image where they differ most.

    With the true label map, objects of the predictions are compared with it, otherwise with the other prediction.

    Parameters
    ----------
    real, arm
        Label maps of one size.
    task
    image, truth
        Both or neither.
    """
    window = most_different(real, arm)
    flat = np.full((*real.shape, 3), _GROUND, np.uint8)
    ground = flat if image is None else under_annotation(stretch_contrast(image), image)
    shown = _enlarged_picture(ground[window])
    if task == "semantic":
        masks = [None if each is None else draw_classes(shown, _enlarged(each[window])) for each in (truth, real, arm)]
        assert masks[1] is not None
        assert masks[2] is not None
        return Panes(masks[0], masks[1], masks[2])
    if truth is None:
        return Panes(None, _compared(shown, real, arm, window), _compared(shown, arm, real, window))
    true_objects = shown.copy()
    true_objects[inner_boundaries(_enlarged(truth[window]))] = FOUND
    return Panes(
        true_objects,
        *(_compared(shown, each, truth, window, show_missed=True) for each in (real, arm)),
    )


def most_different(first: AnyArray, second: AnyArray) -> tuple[slice, slice]:
    """Return the part of at most `SIDE` pixels in which two label maps differ most; of equal ones, the upper left."""
    differs = (first > 0) != (second > 0)
    differs |= inner_boundaries(first) != inner_boundaries(second)
    height, width = differs.shape
    sides = min(height, SIDE), min(width, SIDE)
    sums = np.zeros((height + 1, width + 1), np.int64)
    sums[1:, 1:] = differs.cumsum(0, dtype=np.int64).cumsum(1)
    tops = np.unique(np.linspace(0, height - sides[0], 1 + _STEP * (height // SIDE)).astype(int))
    lefts = np.unique(np.linspace(0, width - sides[1], 1 + _STEP * (width // SIDE)).astype(int))
    inside = (
        sums[np.ix_(tops + sides[0], lefts + sides[1])]
        - sums[np.ix_(tops, lefts + sides[1])]
        - sums[np.ix_(tops + sides[0], lefts)]
        + sums[np.ix_(tops, lefts)]
    )
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(tops[row], tops[row] + sides[0]), slice(lefts[column], lefts[column] + sides[1])


def _compared(
    ground: AnyArray, labels: AnyArray, other: AnyArray, window: tuple[slice, slice], *, show_missed: bool = False
) -> AnyArray:
    """Draw the outlines of objects: those that the other label map has too, and others."""
    table = overlap(other, labels)
    pairs = table.iou >= _IOU
    matched, in_other = table.predicted_ids[table.predicted[pairs]], table.true_ids[table.true[pairs]]
    picture = ground.copy()
    if show_missed:
        missed = np.where(np.isin(other[window], in_other), 0, other[window])
        picture[inner_boundaries(_enlarged(missed)) & _dashes(picture.shape)] = MISSED
    part = _enlarged(labels[window])
    edge = inner_boundaries(part)
    is_matched = np.isin(part, matched)
    picture[edge & is_matched] = FOUND
    picture[edge & ~is_matched] = EXTRA
    return picture


def _dashes(shape: tuple[int, ...]) -> AnyArray:
    rows, columns = np.indices(shape[:2])
    dashes: AnyArray = (rows + columns) // 4 % 2 == 0
    return dashes


def _enlarged(labels: AnyArray) -> AnyArray:
    return labels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _enlarged_picture(picture: AnyArray) -> AnyArray:
    height, width = picture.shape[:2]
    drawn = Image.fromarray(np.ascontiguousarray(picture)).resize(
        (SCALE * width, SCALE * height), Image.Resampling.BICUBIC
    )
    return np.asarray(drawn).copy()
