"""Run a trained segmenter on test images, or on synthetic ones, and score each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.engine.tasks.context import TaskContext
from synthbench.metrics import coco, matching, semantic
from synthbench.metrics.aggregated_jaccard import AggregatedJaccard, aji, aji_plus
from synthbench.metrics.border import BorderObjects, without_border_objects
from synthbench.metrics.ignore import leave_out
from synthbench.metrics.overlap import overlap
from synthbench.plugin.api import Budget, Instances
from synthbench.samples import Sample, Task, check_labels, suffix_for, write_array
from synthbench.study.scaling import restore_labels, scale_sample

__all__ = ["at_size", "checked", "fingerprint", "run", "score_instances", "score_semantic"]


def run(ctx: TaskContext) -> dict[str, Any]:
    where = ctx.task.where
    ctx.enter_stage("load")
    fitted = ctx.store.get("fit-segmenter", where["segmenter"])
    fit = fitted.record["content"]
    context = replace(ctx.plugin_context, seed=fit["seed"], budget=Budget(**fit["plugin"]["budget"]))
    segmenter = ctx.load_plugin("segmenter", fit["plugin"]).load(fitted.folder / "model", context)
    drawn = ctx.task.content.get("synthetic")
    test = ctx.open_synthetic(drawn) if drawn else ctx.open_real("test", scaled=False)
    ctx.enter_stage("predict")
    samples, answers = [], []
    (ctx.folder / "labels").mkdir()
    for done, sample in enumerate(test, 1):
        scaled = scale_sample(sample, ctx.scale)
        answer = at_size(checked(segmenter.predict(scaled.image), scaled), sample.labels.shape, test.task)
        file = ctx.folder / "labels" / f"{sample.id}{suffix_for(answer.labels)}"
        write_array(file, answer.labels)
        samples.append(sample)
        answers.append(answer)
        ctx.plugin_context.progress(done, len(test), "")
    ctx.enter_stage("score")
    if test.task == "semantic":
        scores = score_semantic(samples, answers, len(test.classes) or 2)
    else:
        scores = score_instances(samples, answers, ctx.task.content.get("border_objects", "include"))
    (ctx.folder / "scores.json").write_text(json.dumps(scores, allow_nan=False) + "\n", encoding="utf-8")
    return {"images": len(test)}


def checked(answer: Instances, sample: Sample) -> Instances:
    """Return a segmenter's answer with its labels as a label map; raise if it doesn't fit the image.

    Raises
    ------
    DataError, ValueError
        If the labels aren't a label map of the image's size, or the scores aren't one finite number per instance.
    """
    labels = check_labels(np.asarray(answer.labels), f"prediction for {sample.id}")
    if labels.shape != sample.labels.shape:
        raise ValueError(f"the prediction for {sample.id!r} is {labels.shape}, the image {sample.labels.shape}")
    if answer.scores is None:
        return Instances(labels)
    scores = np.asarray(answer.scores, dtype=float)
    if scores.shape != (int(labels.max()),) or not np.isfinite(scores).all():
        raise ValueError(
            f"the prediction for {sample.id!r} has {int(labels.max())} instances and scores {scores.shape}"
        )
    return Instances(labels, scores)


def at_size(answer: Instances, shape: tuple[int, ...], task: Task) -> Instances:
    """Return a segmenter's answer for a scaled image at the size of the original image.

    See `synthbench.study.scaling.restore_labels`. Instances without a pixel at this size are left out, and the others
    are numbered without gaps in the same order, each with its score.
    """
    if answer.labels.shape == shape:
        return answer
    labels = restore_labels(answer.labels, shape)
    if task == "semantic":
        return Instances(labels, answer.scores)
    kept = np.unique(labels[labels > 0])
    scores = None if answer.scores is None else answer.scores[kept - 1]
    return Instances(np.searchsorted(kept, labels, side="right").astype(labels.dtype), scores)


def score_instances(
    samples: Sequence[Sample], answers: Sequence[Instances], border_objects: BorderObjects = "include"
) -> dict[str, Any]:
    """Return counts per image and threshold, and COCO AP over all images, as JSON.

    Where samples have an ignore region, `synthbench.metrics.ignore.leave_out` says what is counted. With
    ``"exclude"``, objects at the image border aren't (`synthbench.metrics.border.without_border_objects`); whether an
    image is easy or hard doesn't depend on it.
    """
    rows, pairs = [], []
    for sample, answer in zip(samples, answers, strict=True):
        truth, found = leave_out(sample.labels, answer.labels, sample.ignore)
        difficulty = "hard" if matching.touching(truth) else "easy"
        if border_objects == "exclude":
            truth, found = without_border_objects(truth), without_border_objects(found)
        pairs.append((truth, found))
        table = overlap(truth, found)
        counts = matching.count_overlap(table)
        panoptic = matching.count_overlap(table, [matching.PANOPTIC_IOU])
        rows.append(
            {
                "image": sample.id,
                "groups": {k: v for k, v in sample.groups.items() if k != "split"},
                "difficulty": difficulty,
                "true": counts.true,
                "predicted": counts.predicted,
                "tp": counts.tp.tolist(),
                "iou_sum": counts.iou_sum.tolist(),
                "dice": counts.dice,
                "pq_tp": int(panoptic.tp[0]),
                "pq_iou_sum": float(panoptic.iou_sum[0]),
                **_pixels("aji", aji(table)),
                **_pixels("aji_plus", aji_plus(table)),
                "prediction": fingerprint(answer.labels),
            }
        )
    ap = coco.coco_ap([t for t, _ in pairs], [f for _, f in pairs], [a.scores for a in answers])
    return {
        "task": "instances",
        "iou": list(matching.IOU_THRESHOLDS),
        "images": rows,
        "coco_ap": ap.ap,
        "coco_ap50": ap.ap50,
        "coco_ap75": ap.ap75,
        "unscored": ap.unscored,
    }


def _pixels(name: str, parts: AggregatedJaccard) -> dict[str, int]:
    return {f"{name}_shared": parts.shared, f"{name}_union": parts.union}


def fingerprint(labels: NDArray[Any]) -> str:
    """Return 16 hex digits that are the same for the same label map, whatever its integer type."""
    digest = hashlib.sha256(repr(labels.shape).encode())
    digest.update(np.ascontiguousarray(labels, "<u4").tobytes())
    return digest.hexdigest()[:16]


def score_semantic(samples: Sequence[Sample], answers: Sequence[Instances], classes: int) -> dict[str, Any]:
    """Return the confusion of classes per image, and clDice where there are two, as JSON; ignored pixels left out."""
    rows = []
    for sample, answer in zip(samples, answers, strict=True):
        truth, found, ignore = sample.labels, answer.labels, sample.ignore
        rows.append(
            {
                "image": sample.id,
                "groups": {k: v for k, v in sample.groups.items() if k != "split"},
                "confusion": semantic.confusion(truth, found, classes, ignore).tolist(),
                "cldice": semantic.cldice(truth > 0, found > 0, ignore) if classes == 2 else None,
                "prediction": fingerprint(answer.labels),
            }
        )
    return {"task": "semantic", "classes": classes, "images": rows}
