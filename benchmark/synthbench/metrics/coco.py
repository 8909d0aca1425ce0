"""COCO's average precision: the area under the precision–recall curve of scored instances.

Instances of a label map don't overlap. So from IoU 0.5 on nothing competes for a match, and which instances are right
follows from the overlap table of each image: no mask is encoded, and none is compared with every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.metrics.overlap import Overlap, overlap
from synthbench.types import AnyArray

__all__ = ["RECALLS", "CocoAP", "coco_ap"]

RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the curve."""


@dataclass(frozen=True)
class CocoAP:
    """COCO average precision, 0 … 1; 0 where there is no true instance.

    Attributes
    ----------
    ap : float
        Mean over IoU 0.50, 0.55 … 0.95.
    ap50, ap75 : float
        At IoU 0.5 and 0.75.
    unscored : bool
        True when the scores rank nothing (an image has none, or all are equal): the figures then hang on the order
        of images and labels, and must be shown with a flag.
    """

    ap: float
    ap50: float
    ap75: float
    unscored: bool


def coco_ap(
    truths: Sequence[AnyArray],
    labels: Sequence[AnyArray],
    scores: Sequence[AnyArray | None],
    max_detections: int | None = None,
) -> CocoAP:
    """Compute COCO average precision of all images together, objects of every size.

    Instances are ranked by score; of equal scores, those of earlier images come first, then those of lower labels.
    Agrees with ``pycocotools``.

    Parameters
    ----------
    truths, labels
        True and predicted label maps, image by image; each pair of one shape ``(height, width)`` and of any integer
        type. 0 is background.
    scores
        For each image ``(n,)`` float: the confidence of label k + 1 at k, for labels up to n; None where the method
        has none.
    max_detections
        How many instances of an image count, best scores first; by default all of them. COCO's own 100 cuts off
        most of a crowded micrograph; LIVECell takes 2000.

    Raises
    ------
    ValueError
        If one isn't a label map, lengths or shapes don't fit together, a label has no score, or a score isn't
        finite; the message names the argument.
    """
    if not len(truths) == len(labels) == len(scores):
        raise ValueError(f"labels: {len(labels)} images and {len(scores)} scores for {len(truths)} truths")
    if not truths:
        raise ValueError("truths: there are no images")
    if max_detections is not None and not (isinstance(max_detections, int | np.integer) and max_detections >= 1):
        raise ValueError(f"max_detections: {max_detections}; give a whole number from 1 on")
    true, ranked, right = 0, [], []
    distinct: set[float] = set()
    for index, (truth, predicted, given) in enumerate(zip(truths, labels, scores, strict=True)):
        table = _table(truth, predicted, index)
        confidence = _scores_of(table.predicted_ids, given, index)
        best_first = np.argsort(-confidence, kind="stable")[:max_detections]
        true += len(table.true_ids)
        distinct.update(np.unique(confidence).tolist())
        ranked.append(confidence[best_first])
        right.append(_right(table, best_first))
    found = np.concatenate(ranked)
    order = np.argsort(-found, kind="stable")
    precision = _precision(np.concatenate(right, axis=1)[:, order], true)
    return CocoAP(
        ap=float(precision.mean()),
        ap50=float(precision[IOU_THRESHOLDS.index(0.5)].mean()),
        ap75=float(precision[IOU_THRESHOLDS.index(0.75)].mean()),
        unscored=any(given is None for given in scores) or (len(found) > 1 and len(distinct) == 1),
    )


def _table(truth: AnyArray, predicted: AnyArray, image: int) -> Overlap:
    if np.shape(truth) != np.shape(predicted):
        raise ValueError(f"labels: image {image} has shape {np.shape(predicted)}, and its truth {np.shape(truth)}")
    if np.ndim(truth) != 2:
        raise ValueError(f"truths: image {image} has shape {np.shape(truth)}; give a label map, (height, width)")
    try:
        return overlap(truth, predicted)
    except ValueError as error:
        name, _, reason = str(error).partition(": ")
        raise ValueError(f"{'truths' if name == 'truth' else 'labels'}: image {image}: {reason}") from None


def _scores_of(ids: AnyArray, given: AnyArray | None, image: int) -> AnyArray:
    """Return the score of each predicted instance; 1 where the method has none."""
    if given is None:
        return np.ones(len(ids))
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"scores: image {image} has scores that aren't numbers") from None
    highest = int(ids[-1]) if len(ids) else 0
    if values.ndim != 1 or len(values) < highest:
        raise ValueError(f"scores: image {image} has labels up to {highest}, and scores of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: image {image} has a score that isn't finite")
    scores: AnyArray = values[ids - 1]
    return scores


def _right(table: Overlap, best_first: AnyArray) -> AnyArray:
    """Return which instances match a true one at each threshold, ``(thresholds, instances)``, best scores first.

    Above IoU 0.5 a pair has no rival. At 0.5 a predicted instance may be the union of two true ones, which nothing else
    touches then: either will do. Or a true one may be the union of two predicted ones: the better score has it.
    """
    rank = np.full(len(table.predicted_ids), len(best_first))
    rank[best_first] = np.arange(len(best_first))
    iou, true, place = table.iou, table.true, rank[table.predicted]
    near = np.flatnonzero((iou >= IOU_THRESHOLDS[0]) & (place < len(best_first)))
    near = near[np.argsort(place[near], kind="stable")]
    iou, true, place = iou[near], true[near], place[near]
    right = np.zeros((len(IOU_THRESHOLDS), len(best_first)), bool)
    for row, threshold in zip(right, IOU_THRESHOLDS, strict=True):
        good = np.flatnonzero(iou >= threshold)
        _, first = np.unique(true[good], return_index=True)
        row[place[good[first]]] = True
    return right


def _precision(right: AnyArray, true: int) -> AnyArray:
    """Return ``(thresholds, recall levels)`` precision down the ranking; zeros where there is no true instance."""
    out = np.zeros((len(right), len(RECALLS)))
    if not true or not right.shape[1]:
        return out
    hits = right.cumsum(axis=1)
    precision = hits / np.arange(1, right.shape[1] + 1)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    for row, recall, best in zip(out, hits / true, best_from_here, strict=True):
        reached = np.searchsorted(recall, RECALLS, side="left")
        there = reached < len(recall)
        row[there] = best[reached[there]]
    return out
