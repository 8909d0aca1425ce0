"""What is seen of a mask: its numbers, the pieces that they lie in, and how they lie to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.datasets.components import connected_components

TYPE_MAXIMA = (255, 65535)
"""The largest numbers of 8 and 16 bits: of a mask, rather a colour or a sign than the number of an object."""
SIMILAR_AREA = 4
"""Pieces of one label are alike when they have at least 1/4 of the area of its largest."""
MAX_VALUES_KEPT = 16
"""Numbers of a mask that are kept one by one."""
WINDOW = 8192
"""Pieces are looked for in so many central rows and columns of a larger mask."""


@dataclass(frozen=True)
class MaskStatistics:
    """What is seen of one mask.

    Attributes
    ----------
    where : str
        File, or sample.
    label_count : int
        Different numbers above 0.
    values : tuple of int
        These numbers, where they are at most `MAX_VALUES_KEPT`.
    has_background : bool
        Whether any pixel is 0.
    largest, second_largest : int
        The largest number, and the next; 0 where there is none.
    consecutive : bool
        Whether the numbers below the largest are 1, 2, 3 … without a gap.
    dominant, dominant_fraction : int, float
        The number above 0 that covers most, and the share of the pixels that it covers.
    median_other_area : float
        Pixels of each other number above 0, as a median; 0 where there is none.
    dominant_on_all_sides : bool
        Whether `dominant` reaches all four sides.
    components_per_label : float
        Connected pieces (8 neighbours) per label.
    disconnected_labels : tuple of int
        Labels in two or more pieces alike.
    components_of_only_label, components_of_largest : int
        Pieces alike of the only label (0 where there are several), and of the largest.
    differing_fraction : float
        Share of the pairs of labelled pixels side by side that have different labels.
    holes : int
        Unlabelled pieces that don't reach a side, where there is one label that covers most of a mask.
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
        """Whether 255 (or 65,535) stands beside numbers 1 … k that are far from it."""
        return self.largest in TYPE_MAXIMA and 0 < self.second_largest <= self.largest // 2 and self.consecutive


def mask_statistics(labels: np.ndarray, where: str) -> MaskStatistics:
    """Measure a mask, ``(height, width)`` of whole numbers 0 … 2³¹ − 1; about 20 ms per megapixel."""
    present, areas = _counts(labels)
    zero = bool(len(present) and present[0] == 0)
    present, areas = (present[1:], areas[1:]) if zero else (present, areas)
    if not len(present):
        return MaskStatistics(where, 0, (), zero, 0, 0, True, 0, 0.0, 0.0, False, 0.0, (), 0, 0, 0.0, 0)
    part = _middle(labels)
    owners, alike, pieces = _alike(part)
    high, main = int(present[-1]), int(present[areas.argmax()])
    share = float(areas.max()) / labels.size
    framed = all(bool((side == main).any()) for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    left, right = part[:, :-1], part[:, 1:]
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
        components_per_label=pieces / max(len(owners), 1),
        disconnected_labels=tuple(map(int, owners[alike > 1])),
        components_of_only_label=int(alike[0]) if len(present) == len(owners) == 1 else 0,
        components_of_largest=int(alike[-1]) if len(owners) and int(owners[-1]) == high else 0,
        differing_fraction=differing,
        holes=_holes(part) if len(present) == 1 and framed and share > 0.5 else 0,
    )


def _counts(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers that occur, in order, and how often each does."""
    high = int(labels.max())
    if high > 2**20:
        return np.unique(labels, return_counts=True)
    total = np.zeros(high + 1, np.int64)
    rows = max(1, 2**22 // labels.shape[1])
    for start in range(0, len(labels), rows):
        total += np.bincount(labels[start : start + rows].ravel().astype(np.int64), minlength=high + 1)
    present = np.flatnonzero(total)
    return present, total[present]


def _middle(labels: np.ndarray) -> np.ndarray:
    top, left = (max(0, (n - WINDOW) // 2) for n in labels.shape)
    return labels[top : top + WINDOW, left : left + WINDOW]


def _alike(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the labels in order, how many pieces alike each has, and the number of all pieces."""
    found = connected_components(labels)
    known, position = np.unique(found.label, return_inverse=True)
    largest = np.zeros(len(known), np.int64)
    np.maximum.at(largest, position, found.area)
    alike = np.bincount(position[SIMILAR_AREA * found.area >= largest[position]], minlength=len(known))
    return known, alike, len(found)


def _holes(labels: np.ndarray) -> int:
    """Count the unlabelled pieces alike that don't reach a side."""
    found = connected_components(labels == 0, diagonal=False)
    areas = found.area[found.inside]
    return int((SIMILAR_AREA * areas >= areas.max()).sum()) if len(areas) else 0
