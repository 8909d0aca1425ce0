"""Matching of true and predicted instances at thresholds of intersection over union (IoU), and what is counted from it.

One-to-one, with as many pairs of IoU ≥ τ as can be, and among those the largest sum of IoUs. From τ = 0.5 on no
assignment problem is left: a pair above 0.5 has no rival, and at exactly 0.5 the only rivals are the two halves of
one instance, of which either will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.metrics._assignment import assign
from synthbench.metrics.contacts import contacts
from synthbench.metrics.overlap import Overlap, as_label_map, overlap
from synthbench.metrics.rates import RATES, divide, rate
from synthbench.types import AnyArray

__all__ = [
    "IOU_THRESHOLDS",
    "PANOPTIC_IOU",
    "MatchCounts",
    "check_thresholds",
    "count",
    "count_overlap",
    "per_image",
    "pooled",
    "pooled_dice",
    "quality",
    "touching",
]

IOU_THRESHOLDS: tuple[float, ...] = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""0.50, 0.55 … 0.95."""
PANOPTIC_IOU: float = float(np.nextafter(0.5, 1))
"""The least number above 0.5: panoptic quality wants more than 0.5, and thresholds here are reached by equality."""


@dataclass(frozen=True, eq=False)
class MatchCounts:
    """What one image contributes to every score.

    Attributes
    ----------
    true, predicted : int
        Instances.
    thresholds : ndarray
        ``(T,)`` float64: the thresholds at which was matched.
    tp : ndarray
        ``(T,)`` int64: matched pairs at each threshold.
    iou_sum : ndarray
        ``(T,)`` float64: sum of the IoUs of the matched pairs.
    intersection, foreground_true, foreground_predicted : int
        Pixels above 0 in both label maps, in the true one, in the predicted one.
    """

    true: int
    predicted: int
    thresholds: AnyArray
    tp: AnyArray
    iou_sum: AnyArray
    intersection: int
    foreground_true: int
    foreground_predicted: int

    @property
    def fp(self) -> AnyArray:
        """``(T,)`` int64: predicted instances without a match."""
        return self.predicted - self.tp

    @property
    def fn(self) -> AnyArray:
        """``(T,)`` int64: true instances without a match."""
        return self.true - self.tp

    @property
    def empty(self) -> bool:
        """Whether there is neither a true nor a predicted instance: such an image has no score of its own."""
        return self.true == 0 and self.predicted == 0

    @property
    def dice(self) -> float:
        """Dice coefficient of the foreground, 0 … 1; 0 for an empty image."""
        return _dice([self])


def count(truth: AnyArray, predicted: AnyArray, thresholds: Sequence[float] = IOU_THRESHOLDS) -> MatchCounts:
    """Match the instances of two label maps.

    Agrees with ``stardist.matching.matching``, but for two things. That compares in single precision: beyond unions
    of about a million pixels a pair within 1e-7 of a threshold may fall on the other side. And below 0.5 it lets
    pairs under the threshold decide between matchings of equally many pairs, which changes `iou_sum`, not `tp`.

    Parameters
    ----------
    truth, predicted
        Label maps of one shape, of any integer type, labels 0 (background) … 2³¹ − 1, with or without gaps.
    thresholds
        In (0, 1], in any order. A pair counts when its IoU is at least the threshold.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    return count_overlap(overlap(truth, predicted), thresholds)


def count_overlap(table: Overlap, thresholds: Sequence[float] = IOU_THRESHOLDS) -> MatchCounts:
    """Match the instances of an overlap table: `count` for one who has the table already."""
    levels = check_thresholds(thresholds)
    iou = table.iou
    matched = [_match(table, iou, level) for level in levels]
    return MatchCounts(
        true=len(table.true_ids),
        predicted=len(table.predicted_ids),
        thresholds=levels,
        tp=np.array([pairs for pairs, _ in matched], np.int64),
        iou_sum=np.array([total for _, total in matched], np.float64),
        intersection=int(table.shared.sum()),
        foreground_true=int(table.true_areas.sum()),
        foreground_predicted=int(table.predicted_areas.sum()),
    )


def check_thresholds(thresholds: Sequence[float]) -> AnyArray:
    """Return the thresholds as ``(T,)`` float64; raise `ValueError` unless there are some, all in (0, 1]."""
    try:
        levels = np.array(thresholds, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"thresholds: give a list of numbers, not {thresholds!r}") from None
    if levels.ndim != 1 or levels.size == 0:
        raise ValueError(f"thresholds: give a list of numbers, not {thresholds!r}")
    if not ((levels > 0) & (levels <= 1)).all():
        raise ValueError(f"thresholds: {levels.tolist()} are not all above 0 and at most 1")
    return levels


def pooled(counts: Iterable[MatchCounts]) -> dict[str, AnyArray]:
    """Scores by threshold from the counts summed over all images.

    Returns
    -------
    dict
        ``"precision"`` TP / (TP + FP), ``"recall"`` TP / (TP + FN), ``"f1"`` 2 TP / (2 TP + FP + FN) and
        ``"jaccard_ap"`` TP / (TP + FP + FN), which is what Cellpose, StarDist and the 2018 Data Science Bowl call
        average precision. Each ``(T,)`` float64, 0 … 1; 0/0 is 0.
    """
    images = _checked(counts)
    return _rates(
        np.sum([c.tp for c in images], axis=0),
        np.sum([c.fp for c in images], axis=0),
        np.sum([c.fn for c in images], axis=0),
    )


def per_image(counts: Iterable[MatchCounts]) -> dict[str, AnyArray]:
    """Scores by threshold, computed for each image and averaged.

    Images without a true or predicted instance (`MatchCounts.empty`) are left out; when all are, the scores are 0.
    StarDist's ``matching_dataset(by_image=True)`` lets them count as 0.

    Returns
    -------
    dict
        The keys of `pooled`; each ``(T,)`` float64, 0 … 1.
    """
    images = _checked(counts)
    scored = [c for c in images if not c.empty]
    if not scored:
        return _rates(images[0].tp, images[0].fp, images[0].fn)
    rates = _rates(np.stack([c.tp for c in scored]), np.stack([c.fp for c in scored]), np.stack([c.fn for c in scored]))
    return {name: values.mean(axis=0) for name, values in rates.items()}


def quality(counts: Iterable[MatchCounts], *, by_image: bool = False) -> dict[str, AnyArray]:
    """Segmentation, recognition and panoptic quality by threshold (Kirillov 2019).

    The paper matches at more than 0.5: count at `PANOPTIC_IOU` for its figures. At other thresholds they are
    StarDist's ``mean_matched_score``, ``f1`` and ``panoptic_quality``.

    Parameters
    ----------
    counts
        Of one image or more.
    by_image
        Whether to average over images (as `per_image` does) rather than to pool them.

    Returns
    -------
    dict
        ``"sq"`` mean IoU of the matched pairs, also called mean matched IoU; ``"rq"`` F-score; ``"pq"`` their
        product, image by image when `by_image`. Each ``(T,)`` float64, 0 … 1; 0/0 is 0.
    """
    images = _checked(counts)
    if not by_image:
        sq = divide(np.sum([c.iou_sum for c in images], axis=0), np.sum([c.tp for c in images], axis=0))
        rq = pooled(images)["f1"]
        return {"sq": sq, "rq": rq, "pq": sq * rq}
    each = [quality([c]) for c in images if not c.empty] or [quality(images)]
    return {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}


def pooled_dice(counts: Iterable[MatchCounts]) -> float:
    """Dice coefficient of the foreground over the pixels of all images together, 0 … 1; 0/0 is 0."""
    return _dice(_checked(counts))


def touching(labels: AnyArray) -> bool:
    """Whether an instance touches another within one pixel (sides or corners): PROTOCOL's *hard*, else *easy*.

    Parameters
    ----------
    labels
        ``(height, width)`` label map, of any integer type.

    Raises
    ------
    ValueError
        If it isn't a label map of two dimensions.
    """
    labels = as_label_map(labels, "labels")
    if labels.ndim != 2:
        raise ValueError(f"labels: shape {labels.shape}; give one label map, (height, width)")
    return any(len(first) > 0 for first, _ in contacts(labels))


def _match(table: Overlap, iou: AnyArray, level: float) -> tuple[int, float]:
    """Return the number of matched pairs, and the sum of their IoUs."""
    good = iou >= level
    true, found, score = table.true[good], table.predicted[good], iou[good]
    if level < 0.5:
        if len(score):
            most = min(len(np.unique(true)), len(np.unique(found)))
            score = score[assign(true, found, 1 + score / (2 * most))]
        return len(score), float(score.sum())
    surplus = 2 * len(score) - len(np.unique(true)) - len(np.unique(found))
    return len(score) - surplus, float(score.sum()) - 0.5 * surplus


def _rates(tp: AnyArray, fp: AnyArray, fn: AnyArray) -> dict[str, AnyArray]:
    return {name: rate(name, tp, fp, fn) for name in RATES}


def _dice(images: Sequence[MatchCounts]) -> float:
    whole = sum(c.foreground_true + c.foreground_predicted for c in images)
    return 2 * sum(c.intersection for c in images) / whole if whole else 0.0


def _checked(counts: Iterable[MatchCounts]) -> list[MatchCounts]:
    images = list(counts)
    if not images:
        raise ValueError("counts: there are no images")
    if len({tuple(c.thresholds.tolist()) for c in images}) > 1:
        raise ValueError("counts: the images were counted at different thresholds")
    return images
