"""COCO's average precision: the area under the precision–recall curve of scored instances, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.metrics.overlap import as_label_map, check_range, label_runs


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
    truths: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    scores: Sequence[np.ndarray | None],
    max_detections: int | None = None,
) -> CocoAP:
    """Compute COCO average precision of all images together, objects of every size.

    Instances are ranked by score; of equal scores, those of earlier images come first, then those of lower labels.

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
    true_rows: list[dict[str, Any]] = []
    found_rows: list[dict[str, Any]] = []
    most = 1
    ranks: set[float] = set()
    unscored = any(given is None for given in scores)
    for index, (truth, predicted, given) in enumerate(zip(truths, labels, scores, strict=True)):
        if np.shape(truth) != np.shape(predicted):
            raise ValueError(f"labels: image {index} has shape {np.shape(predicted)}, and its truth {np.shape(truth)}")
        true_rows += _rows(truth, index, "truths")
        rows = _rows(predicted, index, "labels")
        for row, score in zip(rows, _scores_of(rows, given, index), strict=True):
            row["score"] = score
            ranks.add(score)
        found_rows += rows
        most = max(most, len(rows))
    precision = _precision([np.shape(truth) for truth in truths], true_rows, found_rows, max_detections or most)
    return CocoAP(
        ap=float(precision.mean()),
        ap50=float(precision[IOU_THRESHOLDS.index(0.5)].mean()),
        ap75=float(precision[IOU_THRESHOLDS.index(0.75)].mean()),
        unscored=unscored or (len(found_rows) > 1 and len(ranks) == 1),
    )


def encode(labels: np.ndarray) -> list[tuple[int, int, dict[str, Any]]]:
    """Return each label above 0, ascending, with its area and its mask in COCO's compressed run lengths.

    Parameters
    ----------
    labels
        ``(height, width)`` label map, of any integer type.

    Raises
    ------
    ValueError
        If it isn't a label map of two dimensions.
    """
    return _coded(labels, "labels")


def _coded(labels: np.ndarray, name: str) -> list[tuple[int, int, dict[str, Any]]]:
    from pycocotools import mask

    labels = as_label_map(labels, name)
    if labels.ndim != 2:
        raise ValueError(f"{name}: shape {labels.shape}; give a label map, (height, width)")
    flat = labels.ravel(order="F")
    starts, lengths = label_runs(flat)
    values = check_range(flat[starts], name)
    order = np.argsort(values, kind="stable")
    order = order[np.searchsorted(values[order], 0, side="right") :]
    values, starts, ends = values[order], starts[order], (starts + lengths)[order]
    height, width = labels.shape
    coded = []
    for here in np.split(np.arange(len(values)), np.flatnonzero(np.diff(values)) + 1):
        if not len(here):
            continue
        edges = np.column_stack([starts[here], ends[here]]).ravel()
        runs = np.diff(edges, prepend=0, append=flat.size)
        code = mask.frPyObjects({"counts": runs.tolist(), "size": [height, width]}, height, width)
        coded.append((int(values[here[0]]), int(runs[1::2].sum()), code))
    return coded


def _rows(labels: np.ndarray, image: int, name: str) -> list[dict[str, Any]]:
    return [
        {"label": label, "image_id": image, "category_id": 1, "iscrowd": 0, "area": area, "segmentation": code}
        for label, area, code in _coded(labels, f"{name}: image {image}")
    ]


def _scores_of(rows: list[dict[str, Any]], given: np.ndarray | None, image: int) -> list[float]:
    if given is None:
        return [1.0] * len(rows)
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"scores: image {image} has scores that aren't numbers") from None
    highest = rows[-1]["label"] if rows else 0
    if values.ndim != 1 or len(values) < highest:
        raise ValueError(f"scores: image {image} has labels up to {highest}, and scores of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: image {image} has a score that isn't finite")
    return [float(values[row["label"] - 1]) for row in rows]


def _precision(
    shapes: Sequence[tuple[int, ...]], true: list[dict[str, Any]], found: list[dict[str, Any]], most: int
) -> np.ndarray:
    """Return ``(thresholds, recall levels)`` precision; zeros where there is no true instance."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def indexed(rows: list[dict[str, Any]]) -> Any:
        table = COCO()
        table.dataset = {
            "images": [{"id": i, "height": h, "width": w} for i, (h, w) in enumerate(shapes)],
            "categories": [{"id": 1}],
            "annotations": [{**row, "id": i} for i, row in enumerate(rows, start=1)],
        }
        table.createIndex()
        return table

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(indexed(true), indexed(found), "segm")
        evaluation.params.iouThrs = np.array(IOU_THRESHOLDS)
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return np.maximum(evaluation.eval["precision"][:, :, 0, 0, 0], 0.0)
