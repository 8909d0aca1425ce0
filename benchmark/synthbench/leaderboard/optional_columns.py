"""Columns on request: scores that every run keeps, and a board shows only when asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synthbench.errors import ConfigError, suggest
from synthbench.leaderboard._columns import DEFINITIONS, definition
from synthbench.statistics.image_counts import COUNTED, SEMANTIC, WHOLE_IMAGE

__all__ = ["COCO", "Score", "at", "columns_of", "names_of", "scores_of"]

COCO = ("coco_ap", "coco_ap50", "coco_ap75")
_LEVELS = re.compile(r"(?P<metric>[a-z_0-9]+)@(?P<level>mean|0?\.\d{1,2})")
_ALIASES = {"aji+": "aji_plus", "miou*": "miou_star"}
_RENAMED = {
    "agreement": "label_consistency",
    "floor": "real_vs_real",
    "copies": "train_duplicates",
    "leaked": "test_duplicates",
    "worth": "equivalent_real_images",
    "runs": "completed",
    "coverage": "completed",
    "delta_from_copies": "delta_vs_duplicate",
}

Score = tuple[str, float | str]
"""A metric, and its IoU threshold."""


def names_of(text: str | None) -> list[str]:
    """Return the names in what ``--columns`` was given: ``"pq, aji"``."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def columns_of(names: Sequence[str], iou: float | str) -> list[str]:
    """Return the columns that names ask for.

    Parameters
    ----------
    names
        Columns of a leaderboard, or ``f1``, ``precision``, ``recall`` or ``jaccard_ap``, with a threshold
        (``recall@0.75``, ``recall@mean``) or without, or ``pq``, ``sq``, ``rq``, ``aji``, ``aji+``, ``dice``,
        ``coco_ap50``, ``coco_ap75``, ``miou``, ``cldice``.
    iou
        The threshold of names without one.

    Raises
    ------
    ConfigError
        If there is no such column; names the nearest.
    """
    found = []
    for name in names:
        column = _ALIASES.get(name.lower(), name)
        match = _LEVELS.fullmatch(column)
        if match and match["metric"] in COUNTED:
            column = at(match["metric"], match["level"])
        elif column in COUNTED:
            column = at(column, iou)
        elif column not in (*WHOLE_IMAGE, *SEMANTIC, *COCO) and not _defined(column):
            known = (*COUNTED, *WHOLE_IMAGE, *SEMANTIC, *COCO, *DEFINITIONS)
            scores = ", ".join((*COUNTED, *WHOLE_IMAGE, *COCO, *SEMANTIC))
            renamed = f": was renamed; use {_RENAMED[name]}" if name in _RENAMED else ""
            hint = renamed or suggest(name, known) or f"; there are {scores}, and every key of the JSON output"
            raise ConfigError(f"columns: no column {name!r}{hint}")
        if column not in found:
            found.append(column)
    return found


def scores_of(columns: Sequence[str], task: str) -> dict[str, Score]:
    """Return the metric and threshold of those columns that are scores of images in a task."""
    found: dict[str, Score] = {}
    for column in columns:
        metric, _, level = column.partition("@")
        if task == "semantic":
            if metric in SEMANTIC:
                found[column] = (metric, 0.5)
        elif metric in COUNTED:
            found[column] = (metric, level if level == "mean" else float(level))
        elif metric in WHOLE_IMAGE or metric == "dice":
            found[column] = (metric, 0.5)
    return found


def at(metric: str, iou: float | str) -> str:
    """Return the name of a score's column: ``"f1@0.50"``, ``"f1@mean"``."""
    return f"{metric}@mean" if iou == "mean" else f"{metric}@{float(iou):.2f}"


def _defined(column: str) -> bool:
    try:
        return bool(definition(column))
    except KeyError:
        return False
