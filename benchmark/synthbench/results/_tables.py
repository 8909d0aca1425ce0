"""What a study found, as tidy pandas tables, and the folder that keeps them.

A run folder holds ``study.yaml``, ``plan.json`` (what each key is made of), ``splits/`` and ``results/*.csv``; it
needs no store to be read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synthbench.errors import DataError
from synthbench.io.escaping import csv_escaped, csv_unescaped, printable_cells
from synthbench.results import checking
from synthbench.results._resampling_units import GROUP, split_groups, with_units
from synthbench.results._test_sets import with_tested_on
from synthbench.statistics.image_counts import UNIT
from synthbench.study.model import Study, make_study, read_study

__all__ = [
    "COUNT",
    "ENTRY",
    "MOST_SEEDS",
    "PLAN",
    "RUN_COLUMNS",
    "TABLES",
    "Results",
    "load_results",
    "save_results",
]

TABLES = ("images", "runs", "fidelity", "label_consistency", "tasks")
COUNT = "count:"
MOST_SEEDS = "most_seeds"
ENTRY = "entry"
PLAN = "plan.json"
"""What a run writes first into its folder, and what shows that it is one."""


@dataclass(frozen=True)
class Results:
    """A study's results; whatever their texts come from, they are printable.

    Attributes
    ----------
    study : Study
    images : DataFrame
        One row per test set, arm, segmenter, seeds, test image and IoU threshold (task `instances`: ``iou``, ``true``,
        ``predicted``, ``tp``, ``fp``, ``fn``, ``iou_sum``, ``dice``, and what panoptic quality and AJI are made of,
        the same at every threshold: ``pq_tp``, ``pq_iou_sum`` (at IoU above 0.5), ``aji_shared``, ``aji_union``,
        ``aji_plus_shared``, ``aji_plus_union`` in pixels) or class (task `semantic`: ``class``, and ``tp``, ``fp``,
        ``fn`` in pixels, ``dice``, ``cldice``). ``tested_on`` is the dataset of the test image. ``prediction`` is a
        hash of the predicted label map; groups are columns ``group:<name>``, and the one that the split keeps together
        is ``unit`` as well.
    runs : DataFrame
        One row per training of a segmenter and test set: what it starts from (``init``) and which dataset of the test
        images these weights have seen (``weights_seen``), by how much images were scaled (``scale``, 1 where they
        weren't) and the median diameter of the objects of training images in pixels at the original size, where it was
        measured (``object_diameter``), status, COCO AP, PQ, AJI and AJI+ pooled over the test images, cost. Of a study
        that decides (`Study.decide`): the trainings behind the decisions, those that failed, and the largest number of
        seeds (``most_seeds``).
    fidelity : DataFrame
        One row per synthetic set: distances to test images, count, real-vs-real distance; duplicates; how far masks
        are apart; what the generator counted are columns ``count:<name>``, see `synthbench.Generator`.
    label_consistency : DataFrame
        As `images`, of synthetic images, by a segmenter trained on real images alone; without arm.
    tasks : DataFrame
        One row per task: status, error, seconds, peak memory.
    """

    study: Study
    images: pd.DataFrame
    runs: pd.DataFrame
    fidelity: pd.DataFrame
    label_consistency: pd.DataFrame
    tasks: pd.DataFrame

    def __post_init__(self) -> None:
        for name in TABLES:
            object.__setattr__(self, name, printable_cells(getattr(self, name)))


def load_results(run: str | Path, hint: str = "") -> Results:
    """Load a run folder.

    Parameters
    ----------
    run
    hint
        What to do about damaged tables; by default to collect them again.

    Raises
    ------
    DataError
        If it isn't one, its run isn't finished, or a table is damaged, contradicts itself, or was changed since the run
        wrote it.
    """
    run = Path(run)
    if not (run / "study.yaml").is_file():
        if (run / PLAN).is_file():
            raise DataError(
                f"{run}: has no results yet: the run was stopped before they were collected, or is still running; the "
                "same 'synthbench run' command resumes it"
            )
        raise DataError(f"{run}: no run folder (it has no study.yaml); give the folder that 'synthbench run' wrote")
    study = make_study(read_study(run / "study.yaml"), str(run / "study.yaml"))
    hint = hint or f"collect it anew from the store: synthbench run {run / 'study.yaml'} --out {run}"
    tables = {name: _read(run / "results" / f"{name}.csv", hint) for name in TABLES}
    checking.check_same_trainings(tables["images"], tables["runs"], run / "results", hint)
    checking.check_seal(run / "results", _FILES, hint)
    tables |= {name: with_tested_on(tables[name]) for name in ("images", "runs")}
    if UNIT not in tables["images"]:
        tables["images"] = with_units(tables["images"], split_groups(study))
    return Results(study, **tables)


def save_results(results: Results, run: Path) -> None:
    """Write the tables into a run folder, each beside and renamed in, and seal them."""
    (run / "results").mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        path = run / "results" / f"{name}.csv"
        beside = path.with_suffix(".part")
        csv_escaped(getattr(results, name)).to_csv(beside, index=False)
        os.replace(beside, path)
    checking.seal(run / "results", _FILES)


_FILES = tuple(f"{name}.csv" for name in TABLES)
RUN_COLUMNS = ("dataset", "fold", "fraction", "arm", "segmenter", "generator_seed", "seed")
_NUMBERS = (
    *("fold", "fraction", "synthetic", "generator_seed", "seed", "iou", "class", "true", "predicted", "tp", "fp", "fn"),
    *("iou_sum", "dice", "cldice", "coco_ap", "seconds", "fit_seconds", "predict_seconds", "fd", "kd", "n"),
    *("synthetic_ratio", "coco_ap50", "coco_ap75", "pq", "aji", "aji_plus", "pq_tp", "pq_iou_sum"),
    *("aji_shared", "aji_union", "aji_plus_shared", "aji_plus_union"),
    *("test_copies", "validation_copies", "scale", "object_diameter", MOST_SEEDS),
)
_COUNTS = ("tp", "fp", "fn")
_TEXT = (
    "dataset",
    "tested_on",
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
    "prediction",
    "device",
    "versions",
    "code",
    "init",
    "weights_seen",
    "generator_seen",
    "schedule",
    UNIT,
)


def _read(path: Path, hint: str) -> pd.DataFrame:
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

    def place(row: int) -> str:
        return f"{path}, line {row + 2}"

    if path.stem in ("images", "label_consistency"):
        checking.check_images(table, place, hint)
    elif path.stem == "runs":
        checking.check_shares(table, place, hint)
    return csv_unescaped(table)


_NEEDED = {
    "images": (*RUN_COLUMNS, "image", "tp", "fp", "fn", "dice"),
    "runs": (*RUN_COLUMNS, "generator", "synthetic", "status"),
    "fidelity": ("dataset", "fold", "fraction", "generator"),
    "label_consistency": (
        "dataset",
        "fold",
        "fraction",
        "generator",
        "segmenter",
        "seed",
        "image",
        "tp",
        "fp",
        "fn",
        "dice",
    ),
    "tasks": ("kind", "key", "status"),
}


def _check_table(path: Path, table: pd.DataFrame) -> None:
    """Raise `DataError` if a column is missing, holds words where numbers belong, or counts something impossible."""
    lacking = [name for name in _NEEDED[path.stem] if name not in table]
    if lacking:
        raise DataError(f"{path}: no column {lacking[0]!r}; the file is damaged, run the study again")
    for name in table.columns.intersection(list(_NUMBERS)):
        wrong = table[name][pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()]
        if len(wrong):
            raise DataError(
                f"{path}, line {wrong.index[0] + 2}: {name} is {wrong.iloc[0]!r}, not a number; run the study again"
            )
    for name in table.columns.intersection(list(_COUNTS)):
        counts = pd.to_numeric(table[name])
        wrong = counts[~((counts >= 0) & (counts % 1 == 0))]
        if len(wrong):
            shown = "missing" if pd.isna(wrong.iloc[0]) else f"{wrong.iloc[0]:g}"
            raise DataError(
                f"{path}, line {wrong.index[0] + 2}: {name} is {shown}, not a count of 0 or more; run the study again"
            )


def _blank_numbers(columns: pd.Index, text: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [""] for name in columns if name not in text}
