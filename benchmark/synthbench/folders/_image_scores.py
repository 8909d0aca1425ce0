"""Scores of single images, and their summaries over many images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthbench.errors import DataError
from synthbench.metrics.aggregated_jaccard import AggregatedJaccard, aji, aji_plus, per_image_aji, pooled_aji
from synthbench.metrics.border import BorderObjects, without_border_objects
from synthbench.metrics.ignore import leave_out
from synthbench.metrics.matching import (
    IOU_THRESHOLDS,
    PANOPTIC_IOU,
    MatchCounts,
    count_overlap,
    per_image,
    pooled,
    pooled_dice,
    quality,
    touching,
)
from synthbench.metrics.overlap import as_label_map, overlap
from synthbench.metrics.semantic import scores
from synthbench.types import AnyArray

__all__ = ["ImageScore", "score_image", "semantic_summary", "summary"]


@dataclass(frozen=True, eq=False)
class ImageScore:
    """What one image contributes to the scores of a folder.

    Attributes
    ----------
    counts, panoptic : ImageCounts
        Matches at `IOU_THRESHOLDS`, and at more than 0.5.
    aji, aji_plus : AggregatedJaccard
        Of Kumar 2017, and its one-to-one variant.
    hard : bool
        Whether an instance of the true label map touches another (`synthbench.metrics.matching.touching`).
    ignored : int
        Pixels whose true label is unknown.
    border : tuple of int or None
        How many true and predicted objects at the image border were left out; None where they are scored.
    """

    counts: MatchCounts
    panoptic: MatchCounts
    aji: AggregatedJaccard
    aji_plus: AggregatedJaccard
    hard: bool
    ignored: int = 0
    border: tuple[int, int] | None = None


def score_image(
    truth: AnyArray, predicted: AnyArray, ignore: AnyArray | None = None, border_objects: BorderObjects = "include"
) -> ImageScore:
    """Score one label map of instances against another.

    Parameters
    ----------
    truth, predicted
        ``(height, width)`` label maps of one shape, of any integer type, labels 0 (background) … 2³¹ − 1.
    ignore
        ``(height, width)`` bool: where the true label is unknown; see `synthbench.metrics.ignore.leave_out`.
    border_objects
        ``"exclude"``: leave out objects at the image border; see `synthbench.metrics.border.without_border_objects`.

    Returns
    -------
    ImageScore
        For `summary`.

    Raises
    ------
    ValueError
        If one isn't such a label map, or the shapes differ; the message names the argument.
    """
    if np.ndim(truth) != 2:
        raise ValueError(f"truth: shape {np.shape(truth)}; give one label map, (height, width)")
    truth, predicted = leave_out(truth, predicted, ignore)
    truth, predicted = as_label_map(truth, "truth"), as_label_map(predicted, "predicted")
    known, left_out = truth, None
    if border_objects == "exclude":
        kept = without_border_objects(truth), without_border_objects(predicted)
        left_out = _objects(truth) - _objects(kept[0]), _objects(predicted) - _objects(kept[1])
        truth, predicted = kept
    table = overlap(truth, predicted)
    return ImageScore(
        counts=count_overlap(table),
        panoptic=count_overlap(table, [PANOPTIC_IOU]),
        aji=aji(table),
        aji_plus=aji_plus(table),
        hard=touching(known),
        ignored=0 if ignore is None else int(ignore.sum()),
        border=left_out,
    )


def _objects(labels: AnyArray) -> int:
    return len(np.unique(labels[labels > 0]))


def summary(scored: Mapping[str, ImageScore]) -> dict[str, Any]:
    """Sum up the scores of many images.

    Returns
    -------
    dict
        ``images`` how many; ``iou`` the thresholds; ``counts`` with ``tp``, ``fp``, ``fn`` summed over the images;
        ``pooled`` and ``per_image``, each with ``precision``, ``recall``, ``f1``, ``jaccard_ap``; ``dice`` of the
        foreground over the pixels of all images; ``mean_matched_iou``, ``panoptic`` (``sq``, ``rq`` and ``pq`` at
        IoU > 0.5), ``aji`` (Kumar 2017) and ``aji_plus``, each ``pooled`` and ``per_image``. Every list has one value
        per threshold; ``mean_matched_iou`` is None at thresholds where nothing matches. ``strata`` has the same again
        for the images that are ``easy`` and ``hard``, None where there are none. Where objects at the image border
        were left out, ``left_out_at_border`` says how many ``true`` and ``predicted`` ones.

    Raises
    ------
    ValueError
        If there are no images.
    """
    images = list(scored.values())
    if not images:
        raise ValueError("scored: there are no images")
    strata = {"easy": [one for one in images if not one.hard], "hard": [one for one in images if one.hard]}
    parts = {name: _figures(members) if members else None for name, members in strata.items()}
    left_out = [one.border for one in images if one.border is not None]
    counts = map(sum, zip(*left_out, strict=True))
    more = {"left_out_at_border": dict(zip(("true", "predicted"), counts, strict=True))} if left_out else {}
    return {**_figures(images), "strata": parts, **more}


def _figures(images: Sequence[ImageScore]) -> dict[str, Any]:
    counts = [one.counts for one in images]
    panoptic = [one.panoptic for one in images]
    aggregated = {"aji": [one.aji for one in images], "aji_plus": [one.aji_plus for one in images]}
    ways = {"pooled": False, "per_image": True}
    matched = np.sum([c.tp for c in counts], axis=0)
    return {
        "images": len(images),
        "iou": list(IOU_THRESHOLDS),
        "counts": {name: np.sum([getattr(c, name) for c in counts], axis=0).tolist() for name in ("tp", "fp", "fn")},
        "pooled": {name: values.tolist() for name, values in pooled(counts).items()},
        "per_image": {name: values.tolist() for name, values in per_image(counts).items()},
        "dice": pooled_dice(counts),
        "mean_matched_iou": {
            way: [
                float(value) if pairs else None
                for value, pairs in zip(quality(counts, by_image=single)["sq"], matched, strict=True)
            ]
            for way, single in ways.items()
        },
        "panoptic": {
            way: {name: float(value[0]) for name, value in quality(panoptic, by_image=single).items()}
            for way, single in ways.items()
        },
        **{
            name: {"pooled": pooled_aji(parts), "per_image": per_image_aji(parts)} for name, parts in aggregated.items()
        },
    }


def semantic_summary(images: Mapping[str, tuple[AnyArray, float]]) -> dict[str, Any]:
    """Sum up the confusion matrices of many images.

    Returns
    -------
    dict
        ``images`` and ``classes``, how many (images that are ignored whole left out everywhere); ``pooled`` with
        ``iou`` and ``dice`` by class, and ``miou``,
        ``miou_star``, ``accuracy``; ``per_image`` with the means over images of ``miou``, ``miou_star``, ``accuracy``
        and, where there are two classes, ``cldice`` (images without foreground in truth and prediction left out).

    Raises
    ------
    DataError
        If every pixel is ignored.
    """
    matrices = [matrix for matrix, _ in images.values() if matrix.any()]
    if not matrices:
        raise DataError("every pixel is ignored: there is nothing to score; give another value to ignore")
    pooled_scores = scores(np.sum(matrices, axis=0))
    each = [scores(matrix) for matrix in matrices]
    means = {
        "miou": float(np.mean([s["miou"] for s in each])),
        "miou_star": float(np.mean([s["miou_star"] for s in each])),
        "accuracy": float(np.mean([s["accuracy"] for s in each])),
    }
    if len(matrices[0]) == 2:
        lines = [line for matrix, line in images.values() if matrix.sum() > matrix[0, 0]]
        means["cldice"] = float(np.mean(lines)) if lines else 0.0
    return {
        "images": len(matrices),
        "classes": len(matrices[0]),
        "pooled": {
            "iou": pooled_scores["iou"].tolist(),
            "dice": pooled_scores["dice"].tolist(),
            "miou": pooled_scores["miou"],
            "miou_star": pooled_scores["miou_star"],
            "accuracy": pooled_scores["accuracy"],
        },
        "per_image": means,
    }
