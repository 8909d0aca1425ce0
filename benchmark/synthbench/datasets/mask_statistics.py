"""Statistics of a mask for plausibility checks: its labels, their components, and their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.datasets.components import connected_components
from synthbench.types import AnyArray

__all__ = ["MAX_VALUES_KEPT", "MaskStatistics", "TYPE_MAXIMA", "mask_statistics"]

TYPE_MAXIMA = (255, 65535)
"""The largest values of uint8 and uint16: in a mask rather a colour or a marker than an object label."""
SIMILAR_AREA = 4
"""Components of a label have a similar area when they are at least 1/4 as large as its largest."""
MAX_VALUES_KEPT = 16
"""Number of labels up to which they are listed."""
WINDOW = 8192
"""Components of a larger mask are counted in this many central rows and columns."""


@dataclass(frozen=True)
class MaskStatistics:
    """Statistics of one mask.

    Attributes
    ----------
    where : str
        File or sample, for messages.
    label_count : int
        Number of distinct labels above 0.
    values : tuple of int
        These labels, where they are at most `MAX_VALUES_KEPT`.
    has_background : bool
        Whether any pixel is 0.
    largest, second_largest : int
        The largest label and the next; 0 where there is none.
    consecutive : bool
        Whether the labels below the largest are 1, 2, 3 … without gaps.
    dominant, dominant_fraction : int, float
        The label that covers most pixels, and the fraction of pixels it covers.
    median_other_area : float
        Median area, in pixels, of the other labels; 0 where there is none.
    dominant_on_all_sides : bool
        Whether `dominant` reaches all four sides.
    components_per_label : float
        Connected components (8 neighbours) per label.
    disconnected_labels : tuple of int
        Labels with two or more components of similar area.
    components_of_only_label, components_of_largest : int
        Components of similar area of the only label (0 where there are several), and of the largest label.
    differing_fraction : float
        Fraction of neighbouring pairs of labelled pixels with different labels.
    holes : int
        Unlabelled components that touch no side, where a single label covers most of the mask.
    """

    where: str
    label_count: int
    values: tuple[int, ...]
    has_background: bool
    largest: int
    second_largest: int
    consecutive: bool
    dominant: int
    dominant_fraction: float
    median_other_area: float
    dominant_on_all_sides: bool
    components_per_label: float
    disconnected_labels: tuple[int, ...]
    components_of_only_label: int
    components_of_largest: int
    differing_fraction: float
    holes: int

    @property
    def has_separate_maximum(self) -> bool:
        """Whether 255 (or 65,535) occurs beside labels 1 … k that are far from it."""
        return self.largest in TYPE_MAXIMA and 0 < self.second_largest <= self.largest // 2 and self.consecutive


def mask_statistics(labels: AnyArray, where: str) -> MaskStatistics:
    """Measure a mask, ``(height, width)`` of integers 0 … 2³¹ − 1; takes about 20 ms per megapixel."""
    present, areas = _counts(labels)
    zero = bool(len(present) and present[0] == 0)
    present, areas = (present[1:], areas[1:]) if zero else (present, areas)
    if not len(present):
        return MaskStatistics(where, 0, (), zero, 0, 0, True, 0, 0.0, 0.0, False, 0.0, (), 0, 0, 0.0, 0)
    centre = _centre(labels)
    owners, similar, components = _similar_components(centre)
    high, main = int(present[-1]), int(present[areas.argmax()])
    share = float(areas.max()) / labels.size
    framed = all(bool((side == main).any()) for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    left, right = centre[:, :-1], centre[:, 1:]
    both = (left > 0) & (right > 0)
    differing = np.count_nonzero(both & (left != right)) / max(np.count_nonzero(both), 1)
    return MaskStatistics(
        where=where,
        label_count=len(present),
        values=tuple(map(int, present)) if len(present) <= MAX_VALUES_KEPT else (),
        has_background=zero,
        largest=high,
        second_largest=int(present[-2]) if len(present) > 1 else 0,
        consecutive=len(present) == 1 or int(present[-2]) == len(present) - 1,
        dominant=main,
        dominant_fraction=share,
        median_other_area=float(np.median(np.delete(areas, areas.argmax()))) if len(areas) > 1 else 0.0,
        dominant_on_all_sides=framed,
        components_per_label=components / max(len(owners), 1),
        disconnected_labels=tuple(map(int, owners[similar > 1])),
        components_of_only_label=int(similar[0]) if len(present) == len(owners) == 1 else 0,
        components_of_largest=int(similar[-1]) if len(owners) and int(owners[-1]) == high else 0,
        differing_fraction=differing,
        holes=_holes(centre) if len(present) == 1 and framed and share > 0.5 else 0,
    )


def _counts(labels: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return the labels that occur, in order, and their areas."""
    high = int(labels.max())
    if high > 2**20:
        return np.unique(labels, return_counts=True)
    total = np.zeros(high + 1, np.int64)
    rows = max(1, 2**22 // labels.shape[1])
    for start in range(0, len(labels), rows):
        total += np.bincount(labels[start : start + rows].ravel().astype(np.int64), minlength=high + 1)
    present = np.flatnonzero(total)
    return present, total[present]


def _centre(labels: AnyArray) -> AnyArray:
    top, left = (max(0, (n - WINDOW) // 2) for n in labels.shape)
    return labels[top : top + WINDOW, left : left + WINDOW]


def _similar_components(labels: AnyArray) -> tuple[AnyArray, AnyArray, int]:
    """Return the labels in order, the components of similar area that each has, and the number of all components."""
    components = connected_components(labels)
    known, position = np.unique(components.label, return_inverse=True)
    largest = np.zeros(len(known), np.int64)
    np.maximum.at(largest, position, components.area)
    counts = np.bincount(position[SIMILAR_AREA * components.area >= largest[position]], minlength=len(known))
    return known, counts, len(components)


def _holes(labels: AnyArray) -> int:
    """Count the unlabelled components of similar area that touch no side."""
    components = connected_components(labels == 0, diagonal=False)
    areas = components.area[components.interior]
    return int((SIMILAR_AREA * areas >= areas.max()).sum()) if len(areas) else 0
