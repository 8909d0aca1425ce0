"""From the store's artifacts to tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from synthbench.metrics.rates import rate
from synthbench.results._resampling_units import GROUP, split_groups, with_units
from synthbench.results._tables import COUNT, MOST_SEEDS, Results
from synthbench.results.made_by import made_by
from synthbench.results.sums import pooled_scores
from synthbench.store import Artifact, Store
from synthbench.study.plan import SCORES, Fidelity, LabelConsistency, Plan, TrainingRun

__all__ = ["FAILURES", "WHOLE_IMAGE", "collect", "fidelity_row", "image_rows", "run_head"]


def collect(plan: Plan, store: Store, ended: Mapping[str, Mapping[str, Any]]) -> Results:
    """Gather a plan's results from the store.

    Parameters
    ----------
    ended
        For tasks that this run tried: key → ``status``, ``stage``, ``error``, ``seconds``.
    """
    artifacts = {key: store.find(task.kind, key, thorough=task.kind in SCORES) for key, task in plan.tasks.items()}
    most = _most_seeds(plan)
    images: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for cell in plan.training_runs:
        evaluated = artifacts[cell.evaluate]
        head = run_head(plan, cell)
        scores = json.loads((evaluated.folder / "scores.json").read_text()) if evaluated else None
        scaling = plan.resolved.conditions[cell.condition].scaling
        start = {
            "init": cell.init,
            "weights_seen": cell.weights_seen,
            "scale": scaling.factor,
            "object_diameter": scaling.diameter or None,
        }
        limit = {MOST_SEEDS: most[cell.segmenter]} if most else {}
        runs.append({**head, **start, **limit, **_run_row(plan, cell, artifacts, scores, ended)})
        if scores:
            images.extend({**head, **row} for row in image_rows(scores))
    return Results(
        plan.resolved.study,
        with_units(pd.DataFrame(images), split_groups(plan.resolved.study)),
        pd.DataFrame(runs),
        pd.DataFrame(list(_fidelity_rows(plan, artifacts))),
        pd.DataFrame(list(_label_consistency_rows(plan, artifacts))),
        pd.DataFrame(list(_task_rows(plan, artifacts, ended))),
    )


def _most_seeds(plan: Plan) -> dict[str, int]:
    """Return the largest number of seeds of each segmenter of a study that decides; else nothing."""
    if plan.resolved.study.decide is None:
        return {}
    return {segmenter.title: segmenter.seeds for segmenter in plan.resolved.segmenters}


def run_head(plan: Plan, cell: TrainingRun) -> dict[str, Any]:
    """Return the columns of `runs` and `images` that say which training a row is of, and what it was tested on."""
    condition = plan.resolved.conditions[cell.condition]
    return {
        "dataset": condition.dataset,
        "tested_on": cell.tested_on or condition.dataset,
        "fold": condition.fold,
        "fraction": len(condition.train),
        "arm": cell.arm,
        "generator": cell.generator,
        "synthetic": cell.synthetic,
        "segmenter": cell.segmenter,
        "generator_seed": cell.generator_seed,
        "seed": cell.seed,
    }


def _run_row(
    plan: Plan,
    cell: TrainingRun,
    artifacts: Mapping[str, Artifact | None],
    scores: Mapping[str, Any] | None,
    ended: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    before = (plan.tasks[cell.fit].content["init"] or {}).get("segmenter")
    chain = [key for key in (cell.fit_generator, cell.draw, before, cell.fit, cell.evaluate) if key]
    failed = next((key for key in chain if ended.get(key, {}).get("status") in FAILURES), None)
    found = {key: artifacts[key] for key in chain}

    def cost(key: str | None, what: str = "seconds") -> float | None:
        artifact = found.get(key) if key else None
        return artifact.record.get(what) if artifact else None

    peaks = [artifact.record.get("peak_memory_mb") or 0.0 for artifact in found.values() if artifact]
    return {
        "status": "ok" if scores else "failed" if failed else "missing",
        "error": f"{plan.tasks[failed].kind}: {ended[failed]['error']}" if failed and not scores else "",
        "coco_ap": (scores or {}).get("coco_ap"),
        "coco_ap50": (scores or {}).get("coco_ap50"),
        "coco_ap75": (scores or {}).get("coco_ap75"),
        **_whole_images(scores),
        "unscored": (scores or {}).get("unscored"),
        "pretraining_seconds": cost(before),
        "fit_seconds": cost(cell.fit),
        "predict_seconds": cost(cell.evaluate),
        "generator_seconds": cost(cell.fit_generator),
        "generator_steps": _steps(plan, cell.generator),
        "synthetic_ratio": cell.synthetic_ratio,
        "schedule": cell.schedule,
        "generator_seen": cell.generator_seen,
        "test_copies": cell.test_copies,
        "validation_copies": cell.validation_copies,
        "draw_seconds": cost(cell.draw),
        "peak_memory_mb": max(peaks, default=None),
        "gpu_memory_mb": cost(cell.fit, "gpu_memory_mb"),
        **made_by(artifact.record for artifact in found.values() if artifact),
    }


def _steps(plan: Plan, generator: str) -> float | None:
    """Return how many optimiser steps a generator trains; 0 for one that doesn't, None without a generator."""
    budgets = {choice.title: choice.plugin.budget for choice in plan.resolved.generators}
    return float(budgets[generator].get("steps") or 0) if generator in budgets else None


def _whole_images(scores: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Return panoptic quality and the aggregated Jaccard indices of a training, pooled over its test images."""
    if not scores or scores["task"] == "semantic":
        return dict.fromkeys(("pq", "aji", "aji_plus"))

    return dict(pooled_scores(lambda name: float(sum(image[name] for image in scores["images"]))))


FAILURES = ("failed", "timeout", "crashed", "stopped")


WHOLE_IMAGE = ("pq_tp", "pq_iou_sum", "aji_shared", "aji_union", "aji_plus_shared", "aji_plus_union")
"""What an image of objects has once, whatever the threshold: sums that panoptic quality and AJI are made of."""


def image_rows(scores: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows that one evaluation's scores come to: per image and threshold, or per image and class."""
    for image in scores["images"]:
        head = {"image": image["image"], **{f"{GROUP}{k}": v for k, v in image["groups"].items()}}
        head["prediction"] = image["prediction"]
        if scores["task"] == "semantic":
            yield from _class_rows(head, image)
            continue
        head |= {name: image[name] for name in ("difficulty", "true", "predicted", "dice", *WHOLE_IMAGE)}
        for iou, tp, iou_sum in zip(scores["iou"], image["tp"], image["iou_sum"], strict=True):
            counts = {"tp": tp, "fp": image["predicted"] - tp, "fn": image["true"] - tp}
            yield {**head, "iou": iou, **counts, "iou_sum": iou_sum}


def _class_rows(head: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    confusion = np.array(image["confusion"])
    for label in range(len(confusion)):
        tp = int(confusion[label, label])
        fp, fn = int(confusion[:, label].sum()) - tp, int(confusion[label].sum()) - tp
        dice = float(rate("f1", tp, fp, fn))
        yield {**head, "class": label, "tp": tp, "fp": fp, "fn": fn, "dice": dice, "cldice": image["cldice"]}


def _generated(plan: Plan, row: Fidelity | LabelConsistency) -> dict[str, Any]:
    condition = plan.resolved.conditions[row.condition]
    return {
        "dataset": condition.dataset,
        "fold": condition.fold,
        "fraction": len(condition.train),
        "generator": row.generator,
        "generator_seed": row.generator_seed,
    }


def _fidelity_rows(plan: Plan, artifacts: Mapping[str, Artifact | None]) -> Iterator[dict[str, Any]]:
    for row in plan.fidelity:
        assessed = artifacts[row.assess]
        found = json.loads((assessed.folder / "fidelity.json").read_text()) if assessed else None
        figures = fidelity_row(found) if found else {"encoder": plan.resolved.encoder.name, "n": row.n}
        drawn = artifacts[row.draw]
        counts = drawn.record.get("counts", {}) if drawn else {}
        yield {**_generated(plan, row), **figures, **{f"{COUNT}{name}": value for name, value in counts.items()}}


def fidelity_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of one synthetic set as columns."""
    frechet, kernel, prdc = found["frechet"], found["kernel"], found["prdc"] or {"synthetic": {}, "real_vs_real": {}}
    row = {
        "encoder": found["encoder"]["name"],
        "variant": found["encoder"]["variant"],
        "n": found["n"],
        "area": found["area"]["synthetic"],
        "test_area": found["area"]["test"],
        "metric_fd": frechet["name"],
        "fd": frechet["value"],
        "real_vs_real_fd": frechet["real_vs_real"],
        "metric_kd": kernel["name"],
        "kd": kernel["value"],
        "kd_low": kernel["low"],
        "kd_high": kernel["high"],
        "kd_p": kernel["p"],
        "real_vs_real_kd": kernel["real_vs_real"],
        "real_vs_real_kd_low": kernel["real_vs_real_low"],
        "real_vs_real_kd_high": kernel["real_vs_real_high"],
        "real_vs_real_kd_p": kernel["real_vs_real_p"],
        "kd_n": kernel["images"]["synthetic"],
        "kd_test_n": kernel["images"]["real"],
        "kd_train_n": kernel["images"]["train"],
    }
    row |= prdc["synthetic"]
    row |= {f"real_vs_real_{name}": value for name, value in prdc["real_vs_real"].items()}
    if copied := found["memorisation"]:
        names = ("synthetic_images", "near", "expected", "z", "authenticity", "authenticity_held_out", "c_t")
        row |= {"train_duplicates": len(copied["train_duplicates"]), "test_duplicates": len(copied["test_duplicates"])}
        row |= {name: copied[name] for name in names}
        copies = copied["train_duplicates_by_mask"] or {}
        for origin, count in (copied["masks"] or {}).items():
            row |= {f"masks_{origin}": count, f"train_duplicates_{origin}": copies.get(origin, 0)}
    for name, gap in (found["masks"] or {}).items():
        row |= {f"mask_{name}": gap["distance"], f"real_vs_real_mask_{name}": gap["real_vs_real"]}
    return row


def _label_consistency_rows(plan: Plan, artifacts: Mapping[str, Artifact | None]) -> Iterator[dict[str, Any]]:
    for row in plan.label_consistency:
        if evaluated := artifacts[row.evaluate]:
            head = {**_generated(plan, row), "segmenter": row.segmenter, "seed": row.seed}
            scores = json.loads((evaluated.folder / "scores.json").read_text())
            yield from ({**head, **image} for image in image_rows(scores))


def _task_rows(
    plan: Plan, artifacts: Mapping[str, Artifact | None], ended: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for key, task in plan.tasks.items():
        now = ended.get(key, {})
        artifact = artifacts[key]
        record: Mapping[str, Any] = artifact.record if artifact else {}
        yield {
            "kind": task.kind,
            "key": key,
            "label": task.label,
            "plugin": task.plugin,
            "status": now.get("status") or ("stored" if artifact else "missing"),
            "stage": now.get("stage", ""),
            "error": now.get("error", ""),
            "traceback": now.get("traceback", ""),
            "seconds": record.get("seconds", now.get("seconds")),
            "peak_memory_mb": record.get("peak_memory_mb", now.get("peak_memory_mb")),
            "gpu_memory_mb": record.get("gpu_memory_mb"),
            "stored": artifact is not None,
        }
