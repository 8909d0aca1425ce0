"""Aggregated Jaccard index: pixels that matched instances share, by the pixels they cover, unmatched ones included.

Three definitions are in use under this name, and they differ on the same label maps: `aji` of the paper, `aji_plus`
with one-to-one matching, and `aji_cellpose`. All of them follow from the overlap table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synthbench.metrics._assignment import assign
from synthbench.metrics.overlap import Overlap
from synthbench.types import AnyArray

__all__ = ["AggregatedJaccard", "aji", "aji_cellpose", "aji_plus", "per_image_aji", "pooled_aji"]

_CERTAIN = 0.5616
"""A pair of more IoU is in every one-to-one matching of the largest IoU sum.

Without it, its two instances could bring at most 2 (1 − x) / (1 + x) together with others, for those lie in what the
pair doesn't share. That is less than the pair's own IoU x from x = (√17 − 3) / 2 = 0.5615… on.
"""


@dataclass(frozen=True)
class AggregatedJaccard:
    """Numerator and denominator of an aggregated Jaccard index; those of several images add up.

    Attributes
    ----------
    shared : int
        Pixels that matched instances share.
    union : int
        Pixels that matched instances cover, and those of the instances without a match.
    """

    shared: int
    union: int

    @property
    def value(self) -> float:
        """0 … 1; 0/0, where there are no instances at all, is 0."""
        return self.shared / self.union if self.union else 0.0


def aji(table: Overlap) -> AggregatedJaccard:
    """AJI of Kumar 2017 (IEEE TMI 36, algorithm 1).

    Every true instance takes the predicted one of largest IoU, of equal ones that of the lower label. A predicted
    instance may be taken more than once, and then counts in the union as often.

    Parameters
    ----------
    table
        What `synthbench.metrics.overlap.overlap` returns.

    Examples
    --------
    One predicted instance over two true ones of two pixels each, and one pixel more:

    >>> import numpy as np
    >>> from synthbench.metrics.overlap import overlap
    >>> table = overlap(np.array([[1, 1, 2, 2, 0]]), np.array([[3, 3, 3, 3, 3]]))
    >>> aji(table), aji_plus(table), aji_cellpose(table)
    (AggregatedJaccard(shared=4, union=10), AggregatedJaccard(shared=2, union=7), AggregatedJaccard(shared=2, union=5))
    """
    order = np.lexsort((table.predicted, -table.iou, table.true))
    _, first = np.unique(table.true[order], return_index=True)
    return _aggregate(table, order[first])


def aji_plus(table: Overlap) -> AggregatedJaccard:
    """AJI+ of Graham 2019 (HoVer-Net): as `aji`, but one-to-one, with the largest sum of IoUs.

    Any overlap makes a pair. Where several matchings have the largest sum, it is that of one of them.

    Parameters
    ----------
    table
        What `synthbench.metrics.overlap.overlap` returns.
    """
    return _aggregate(table, _one_to_one(table, _CERTAIN, table.iou))


def aji_cellpose(table: Overlap) -> AggregatedJaccard:
    """What ``cellpose.metrics.aggregated_jaccard_index`` computes: shared pixels by the union of both foregrounds.

    One-to-one, with as many pairs of IoU ≥ 0.5 as can be, then the largest sum of IoUs. The union counts a pixel once
    even where it belongs to instances of two different pairs.

    Parameters
    ----------
    table
        What `synthbench.metrics.overlap.overlap` returns.
    """
    iou = table.iou
    most = max(1, min(len(table.true_ids), len(table.predicted_ids)))
    chosen = _one_to_one(table, 0.5, (iou >= 0.5) + iou / (2 * most))
    foreground = table.true_areas.sum() + table.predicted_areas.sum() - table.shared.sum()
    return AggregatedJaccard(int(table.shared[chosen].sum()), int(foreground))


def pooled_aji(images: Iterable[AggregatedJaccard]) -> float:
    """Index over the pixels of all images together, 0 … 1.

    Raises
    ------
    ValueError
        If there are no images.
    """
    parts = _some(images)
    return AggregatedJaccard(sum(p.shared for p in parts), sum(p.union for p in parts)).value


def per_image_aji(images: Iterable[AggregatedJaccard]) -> float:
    """Mean of the images' indices, 0 … 1; images without any instance are left out, and where all are, it is 0.

    Raises
    ------
    ValueError
        If there are no images.
    """
    scored = [part.value for part in _some(images) if part.union]
    return float(np.mean(scored)) if scored else 0.0


def _one_to_one(table: Overlap, certain: float, gain: AnyArray) -> AnyArray:
    """Return the positions of the pairs of the best one-to-one matching; those of more IoU than `certain` are in it."""
    sure = table.iou > certain
    taken_true = np.zeros(len(table.true_ids), bool)
    taken_predicted = np.zeros(len(table.predicted_ids), bool)
    taken_true[table.true[sure]] = taken_predicted[table.predicted[sure]] = True
    free = np.flatnonzero(~taken_true[table.true] & ~taken_predicted[table.predicted])
    chosen = free[assign(table.true[free], table.predicted[free], gain[free])]
    return np.concatenate([np.flatnonzero(sure), chosen])


def _aggregate(table: Overlap, chosen: AnyArray) -> AggregatedJaccard:
    lone_true = np.delete(table.true_areas, table.true[chosen])
    lone_predicted = np.delete(table.predicted_areas, table.predicted[chosen])
    union = table.union[chosen].sum() + lone_true.sum() + lone_predicted.sum()
    return AggregatedJaccard(int(table.shared[chosen].sum()), int(union))


def _some(images: Iterable[AggregatedJaccard]) -> list[AggregatedJaccard]:
    parts = list(images)
    if not parts:
        raise ValueError("images: there are none")
    return parts
