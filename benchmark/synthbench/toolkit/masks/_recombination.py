"""Recombined masks: single objects, flipped and rotated, placed without overlap until they cover a target fraction."""

from __future__ import annotations

from typing import Literal

import numpy as np

from synthbench.toolkit.masks.objects import Cutout
from synthbench.toolkit.masks.placement import Canvas
from synthbench.toolkit.training.patches import dihedral
from synthbench.types import BoolMask

__all__ = ["Layout", "recombine"]

Layout = Literal["scatter", "discs"]

PLACING_ROUNDS = 4
"""How often objects are added to a recombined mask that covers less than its target."""
DISC_COVERAGE = 0.4
"""Fraction of the discs' area that objects are to cover in the layout ``discs``."""


def recombine(
    objects: list[Cutout],
    shape: tuple[int, ...],
    target: float,
    layout: Layout,
    touching_fraction: float,
    rng: np.random.Generator,
) -> tuple[Canvas, int]:
    """Place random objects on an empty canvas.

    Parameters
    ----------
    objects
        To choose from, with replacement; without any, the canvas stays empty.
    shape
        Height and width of the canvas.
    target
        Fraction of the canvas that objects are to cover, 0 … 1.
    layout
        ``"scatter"``: objects are placed anywhere; ``"discs"``: in one to four discs, as colonies.
    touching_fraction
        Fraction of the objects that are moved until they touch a neighbour, 0 … 1.
    rng

    Returns
    -------
    canvas : Canvas
        With the objects that found a place.
    unplaced : int
        Objects for which no free place was found.
    """
    target_pixels = target * shape[0] * shape[1]
    allowed = _discs(shape, target_pixels, rng) if layout == "discs" else None
    canvas = Canvas(np.zeros(shape, np.int32), allowed)
    unplaced = 0
    for _ in range(PLACING_ROUNDS):
        before = canvas.count
        for mask in _choose_objects(objects, target_pixels - canvas.covered, rng):
            corner = canvas.find_place(mask, rng, touch=bool(rng.random() < touching_fraction))
            if corner is None:
                unplaced += 1
            else:
                canvas.place(mask, corner)
        if canvas.count == before:
            break
    return canvas, unplaced


def _choose_objects(objects: list[Cutout], missing: float, rng: np.random.Generator) -> list[BoolMask]:
    """Return random objects, flipped and rotated, largest first; their areas add up to about `missing` pixels."""
    chosen: list[BoolMask] = []
    while objects:
        cut = objects[rng.integers(len(objects))]
        if missing < cut.area / 2:
            break
        missing -= cut.area
        chosen.append(np.ascontiguousarray(dihedral(cut.mask, int(rng.integers(8)))))
    return sorted(chosen, key=lambda mask: -int(mask.sum()))


def _discs(shape: tuple[int, ...], target_pixels: float, rng: np.random.Generator) -> BoolMask:
    """Return one to four equal discs, ``shape`` bool, with room for objects of `target_pixels` pixels."""
    count = int(rng.integers(1, 5))
    centres = (rng.random((count, 2)) * shape).tolist()
    area = min(target_pixels / DISC_COVERAGE, shape[0] * shape[1])
    radius = float(np.sqrt(area / count / np.pi))
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    while inside.sum() < area:
        for y, x in centres:
            inside |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        radius *= 1.1
    return inside
