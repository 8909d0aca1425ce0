"""What a study found, as tidy pandas tables, and the folder that keeps them.

A run folder holds ``study.yaml``, ``plan.json`` (what each key is made of), ``splits/`` and ``results/*.csv``; it
needs no store to be read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthbench.errors import DataError
from synthbench.plan import SCORES, Cell, Plan
from synthbench.store import Artifact, Store
from synthbench.study import Study, make_study, read_study

TABLES = ("images", "runs", "fidelity", "tasks")
GROUP = "group:"


@dataclass(frozen=True)
class Results:
    """A study's results.

    Attributes
    ----------
    study : Study
    images : DataFrame
        One row per arm, segmenter, seeds, test image and IoU threshold (task `instances`: ``iou``, ``true``,
        ``predicted``, ``tp``, ``fp``, ``fn``, ``iou_sum``, ``dice``) or class (task `semantic`: ``class``, and
        ``tp``, ``fp``, ``fn`` in pixels, ``dice``, ``cldice``); groups are columns ``group:<name>``.
    runs : DataFrame
        One row per training of a segmenter: status, COCO AP, cost.
    fidelity : DataFrame
        One row per synthetic set: distances to test images, count, floor.
    tasks : DataFrame
        One row per task: status, error, seconds, peak memory.
    """

    study: Study
    images: pd.DataFrame
    runs: pd.DataFrame
    fidelity: pd.DataFrame
    tasks: pd.DataFrame


def load_results(run: str | Path) -> Results:
    """Load a run folder.

    Raises
    ------
    DataError
        If it isn't one, or a table is damaged.
    """
    run = Path(run)
    if not (run / "study.yaml").is_file():
        raise DataError(f"{run}: no run folder (it has no study.yaml); give the folder that 'synthbench run' wrote")
    study = make_study(read_study(run / "study.yaml"), str(run / "study.yaml"))
    return Results(study, **{name: _read(run / "results" / f"{name}.csv") for name in TABLES})


def save_results(results: Results, run: Path) -> None:
    """Write the tables into a run folder, each beside and renamed in."""
    (run / "results").mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        path = run / "results" / f"{name}.csv"
        beside = path.with_suffix(".part")
        getattr(results, name).to_csv(beside, index=False)
        os.replace(beside, path)


CELL_COLUMNS = ("dataset", "fold", "fraction", "arm", "segmenter", "generator_seed", "seed")
_NUMBERS = (
    *("fold", "fraction", "synthetic", "generator_seed", "seed", "iou", "class", "true", "predicted", "tp", "fp", "fn"),
    *("iou_sum", "dice", "cldice", "coco_ap", "seconds", "fit_seconds", "predict_seconds", "fd", "kd", "n"),
)
_TEXT = (
    "dataset",
    "arm",
    "generator",
    "segmenter",
    "image",
    "difficulty",
    "error",
    "traceback",
    "status",
    "stage",
    "key",
    "label",
)


def _read(path: Path) -> pd.DataFrame:
    try:
        head = pd.read_csv(path, nrows=0).columns
        text = {name: str for name in head if name in _TEXT or name.startswith(GROUP)}
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=_blank_numbers(head, text))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; run the study again") from None
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: can't be read as a table: {error}") from None
    _check_table(path, table)
    return table


_NEEDED = {
    "images": (*CELL_COLUMNS, "image", "tp", "fp", "fn", "dice"),
    "runs": (*CELL_COLUMNS, "generator", "synthetic", "status"),
    "fidelity": ("dataset", "fold", "fraction", "generator"),
    "tasks": ("kind", "key", "status"),
}


def _check_table(path: Path, table: pd.DataFrame) -> None:
    """Raise `DataError` if a column is missing, or holds words where numbers belong."""
    lacking = [name for name in _NEEDED[path.stem] if name not in table]
    if lacking:
        raise DataError(f"{path}: no column {lacking[0]!r}; the file is damaged, run the study again")
    for name in table.columns.intersection(list(_NUMBERS)):
        wrong = table[name][pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()]
        if len(wrong):
            raise DataError(
                f"{path}, line {wrong.index[0] + 2}: {name} is {wrong.iloc[0]!r}, not a number; run the study again"
            )


def _blank_numbers(columns: pd.Index, text: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [""] for name in columns if name not in text}


# -- collecting -----------------------------------------------------------------------------------------------------


def collect(plan: Plan, store: Store, ended: Mapping[str, Mapping[str, Any]]) -> Results:
    """Gather a plan's results from the store.

    Parameters
    ----------
    ended
        For tasks that this run tried: key → ``status``, ``stage``, ``error``, ``seconds``.
    """
    artifacts = {key: store.find(task.kind, key, thorough=task.kind in SCORES) for key, task in plan.tasks.items()}
    images: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for cell in plan.cells:
        evaluated = artifacts[cell.evaluate]
        head = _cell_head(plan, cell)
        scores = json.loads((evaluated.folder / "scores.json").read_text()) if evaluated else None
        runs.append({**head, **_run_row(plan, cell, artifacts, scores, ended)})
        if scores:
            images.extend({**head, **row} for row in image_rows(scores))
    return Results(
        plan.resolved.study,
        pd.DataFrame(images),
        pd.DataFrame(runs),
        pd.DataFrame(list(_fidelity_rows(plan, artifacts))),
        pd.DataFrame(list(_task_rows(plan, artifacts, ended))),
    )


def _cell_head(plan: Plan, cell: Cell) -> dict[str, Any]:
    arena = plan.resolved.arenas[cell.arena]
    return {
        "dataset": arena.dataset,
        "fold": arena.fold,
        "fraction": len(arena.train),
        "arm": cell.arm,
        "generator": cell.generator,
        "synthetic": cell.synthetic,
        "segmenter": cell.segmenter,
        "generator_seed": cell.generator_seed,
        "seed": cell.seed,
    }


def _run_row(
    plan: Plan,
    cell: Cell,
    artifacts: Mapping[str, Artifact | None],
    scores: Mapping[str, Any] | None,
    ended: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    chain = [key for key in (cell.fit_generator, cell.draw, cell.fit, cell.evaluate) if key]
    failed = next((key for key in chain if ended.get(key, {}).get("status") in FAILURES), None)
    found = {key: artifacts[key] for key in chain}

    def cost(key: str | None, what: str = "seconds") -> float | None:
        artifact = found.get(key) if key else None
        return artifact.record.get(what) if artifact else None

    fit = found[cell.fit]
    peaks = [artifact.record.get("peak_memory_mb") or 0.0 for artifact in found.values() if artifact]
    return {
        "status": "ok" if scores else "failed" if failed else "missing",
        "error": f"{plan.tasks[failed].kind}: {ended[failed]['error']}" if failed and not scores else "",
        "coco_ap": (scores or {}).get("coco_ap"),
        "coco_ap50": (scores or {}).get("coco_ap50"),
        "coco_ap75": (scores or {}).get("coco_ap75"),
        "unscored": (scores or {}).get("unscored"),
        "fit_seconds": cost(cell.fit),
        "predict_seconds": cost(cell.evaluate),
        "generator_seconds": cost(cell.fit_generator),
        "draw_seconds": cost(cell.draw),
        "peak_memory_mb": max(peaks, default=None),
        "gpu_memory_mb": cost(cell.fit, "gpu_memory_mb"),
        "device": fit.record.get("device") if fit else "",
    }


FAILURES = ("failed", "timeout", "crashed")


def image_rows(scores: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows that one evaluation's scores come to: per image and threshold, or per image and class."""
    for image in scores["images"]:
        head = {"image": image["image"], **{f"{GROUP}{k}": v for k, v in image["groups"].items()}}
        if scores["task"] == "semantic":
            yield from _class_rows(head, image)
            continue
        head |= {name: image[name] for name in ("difficulty", "true", "predicted", "dice")}
        for iou, tp, iou_sum in zip(scores["iou"], image["tp"], image["iou_sum"], strict=True):
            counts = {"tp": tp, "fp": image["predicted"] - tp, "fn": image["true"] - tp}
            yield {**head, "iou": iou, **counts, "iou_sum": iou_sum}


def _class_rows(head: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    confusion = np.array(image["confusion"])
    for label in range(len(confusion)):
        tp = int(confusion[label, label])
        fp, fn = int(confusion[:, label].sum()) - tp, int(confusion[label].sum()) - tp
        both = 2 * tp + fp + fn
        dice = 2 * tp / both if both else 0.0
        yield {**head, "class": label, "tp": tp, "fp": fp, "fn": fn, "dice": dice, "cldice": image["cldice"]}


def _fidelity_rows(plan: Plan, artifacts: Mapping[str, Artifact | None]) -> Iterator[dict[str, Any]]:
    for row in plan.fidelity:
        arena = plan.resolved.arenas[row.arena]
        head = {
            "dataset": arena.dataset,
            "fold": arena.fold,
            "fraction": len(arena.train),
            "generator": row.generator,
            "generator_seed": row.generator_seed,
        }
        assessed = artifacts[row.assess]
        if assessed:
            yield {**head, **json.loads((assessed.folder / "fidelity.json").read_text())}
        else:
            yield {**head, "encoder": plan.resolved.encoder.name, "n": row.n}


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
