"""From the rows of an `images` frame to arrays: every metric is a ratio of sums over images.

Pooled F1 is Σ 2·TP / Σ (2·TP + FP + FN); a mean over images is Σ value / Σ 1. So the score of a resample is two
matrix products, one above and one below the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, DataError, suggest

RUN = ["arm", "fold", "generator_seed", "seed"]
"""What makes one training of the segmenter, within a block."""

BLOCK = ["dataset", "fraction", "segmenter"]
"""What a comparison holds fixed."""

Parts = Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]

COUNTED: dict[str, Parts] = {
    "f1": lambda rows: (2 * rows.tp, 2 * rows.tp + rows.fp + rows.fn),
    "precision": lambda rows: (rows.tp, rows.tp + rows.fp),
    "recall": lambda rows: (rows.tp, rows.tp + rows.fn),
    "jaccard_ap": lambda rows: (rows.tp, rows.tp + rows.fp + rows.fn),
}
WHOLE_IMAGE: dict[str, Parts] = {
    "pq": lambda rows: (2 * rows.pq_iou_sum, rows.true + rows.predicted),
    "sq": lambda rows: (rows.pq_iou_sum, rows.pq_tp),
    "rq": lambda rows: (2 * rows.pq_tp, rows.true + rows.predicted),
    "aji": lambda rows: (rows.aji_shared, rows.aji_union),
    "aji_plus": lambda rows: (rows.aji_plus_shared, rows.aji_plus_union),
}
"""Of instances too, but without a threshold: once for each image."""
SEMANTIC = ("miou", "miou_star", "dice", "cldice")
METRICS = (*COUNTED, *WHOLE_IMAGE, *SEMANTIC)
FOUND = ("tp", "pq_tp", "pq_iou_sum", "aji_shared", "aji_plus_shared")
"""Columns that are 0 where nothing is found right."""

_PANOPTIC = ("true", "predicted", "pq_tp", "pq_iou_sum")
_PARTS_OF = {
    **dict.fromkeys(("pq", "sq", "rq"), _PANOPTIC),
    "aji": ("aji_shared", "aji_union"),
    "aji_plus": ("aji_plus_shared", "aji_plus_union"),
}
AGGREGATIONS = ("pooled", "per_image")
COUNTS = ("tp", "fp", "fn")
UNIT = "unit"
"""The column that says which test images belong together; an image without a value there belongs to itself."""


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """One metric of every run and image of a block, as the two sides of a fraction.

    Attributes
    ----------
    runs : DataFrame
        One row per run: ``arm``, ``fold``, ``generator_seed`` (text, empty for none), ``seed``.
    images : list of str
    units : ndarray
        ``(images,)``, int: images with the same number belong together (a well, a patient), and are resampled together.
    above, below : ndarray
        ``(runs, images, parts)`` float64; a part is an IoU threshold or a class. Zero where a run lacks an image.
    counts : ndarray or None
        ``(runs, images, parts)``: a part counts towards the mean over parts only where the sum of this over images
        is above zero; None: every part counts.
    present : ndarray
        ``(runs, images)`` bool.
    """

    runs: pd.DataFrame
    images: list[str]
    units: np.ndarray
    above: np.ndarray
    below: np.ndarray
    counts: np.ndarray | None
    present: np.ndarray

    def scores(self) -> np.ndarray:
        """Return the score of each run over all its images, ``(runs,)``."""
        counts = None if self.counts is None else self.counts.sum(axis=1)
        return combine(self.above.sum(axis=1), self.below.sum(axis=1), counts)


def combine(above: np.ndarray, below: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Divide sums, ``(…, parts)``, 0/0 being 0, and take the mean over the parts that count."""
    ratio = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    if counts is None:
        return ratio.mean(axis=-1)
    kept = counts > 0
    return (ratio * kept).sum(axis=-1) / np.maximum(kept.sum(axis=-1), 1)


def image_counts(
    images: pd.DataFrame, metric: str = "f1", iou: float | str = 0.5, aggregation: str = "pooled"
) -> ImageCounts:
    """Arrange one metric of one block.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter.
    metric
        One of `METRICS`. ``f1``, ``precision``, ``recall``, ``jaccard_ap`` and ``dice`` are there for instances: Dice
        of the foreground is a mean over images with any. So are ``pq``, ``sq`` and ``rq`` (matched at IoU above 0.5),
        ``aji`` and ``aji_plus`` (`synthbench.metrics.aggregated_jaccard`). ``miou``, ``miou_star``, ``dice`` and
        ``cldice`` are there for semantic tasks, from pixels summed over the test set: the mean over classes that occur
        in truth or prediction, over those that occur in the truth, over those but class 0; clDice is a mean over images
        with any foreground.
    iou
        A threshold of the frame, or ``"mean"`` for the mean over all of them. Without meaning for the other metrics.
    aggregation
        ``"pooled"``: counts summed over the test set. ``"per_image"``: mean over images; an image with neither true
        nor predicted objects is left out.

    Raises
    ------
    ConfigError
        If the metric, the threshold or the aggregation is not there.
    DataError
        If the frame is empty, lacks a column, holds several blocks, a row twice, or a count that is none.
    """
    _check_block(images)
    rows, part = _rows(images, metric, iou)
    if aggregation not in AGGREGATIONS:
        raise ConfigError(f"aggregation {aggregation!r} is not one of {', '.join(AGGREGATIONS)}")
    _check_counts(rows, metric)
    above, below, counts = _parts(rows, metric, aggregation)
    keys = rows[RUN].copy()
    keys["generator_seed"] = seed_text(rows["generator_seed"])
    run_codes, runs = _codes(keys)
    image_codes, names = pd.factorize(rows["image"].astype(str), sort=True)
    part_codes, parts = pd.factorize(part.to_numpy(), sort=True)
    shape = (len(runs), len(names), len(parts))
    where = (run_codes, image_codes, part_codes)
    if len(np.unique(np.ravel_multi_index(where, shape))) < len(rows):
        raise DataError("results: an image of a run occurs twice; the run folder is damaged, run the study again")

    def spread(values: pd.Series) -> np.ndarray:
        out = np.zeros(shape)
        out[where] = values.to_numpy(float)
        return out

    present = np.zeros(shape[:2], bool)
    present[run_codes, image_codes] = True
    sides = spread(above), spread(below), None if counts is None else spread(counts)
    return ImageCounts(runs, [str(n) for n in names], _units(rows, names), *sides, present)


def run_scores(
    images: pd.DataFrame, metric: str = "f1", iou: float | str = 0.5, aggregation: str = "pooled"
) -> pd.DataFrame:
    """Score every run of one block; see `image_counts`.

    Returns
    -------
    DataFrame
        One row per run: ``arm``, ``fold``, ``generator_seed``, ``seed``, ``score`` (0 … 1).
    """
    found = image_counts(images, metric, iou, aggregation)
    return found.runs.assign(score=found.scores())


def seed_text(seeds: pd.Series) -> pd.Series:
    """Return generator seeds as text, empty where there is none, whatever a CSV reader made of them."""
    codes, known = pd.factorize(pd.to_numeric(seeds, errors="coerce"))
    texts = np.array([*(str(int(number)) for number in known), ""], dtype=object)
    return pd.Series(texts[codes], index=seeds.index)


def _check_block(images: pd.DataFrame) -> None:
    if images.empty:
        raise DataError("results: there is no scored image")
    check_columns(images, [*RUN, "image"])
    if "iou" not in images and "class" not in images:
        raise DataError("results: no column 'iou' or 'class'; run the study again")
    for name in BLOCK:
        if name in images and images[name].nunique(dropna=False) > 1:
            values = ", ".join(str(v) for v in images[name].unique()[:4])
            raise DataError(f"results hold several values of {name} ({values} …); compare one at a time")


def check_columns(rows: pd.DataFrame, needed: Iterable[str]) -> None:
    """Raise a `DataError` that names the first column that isn't there."""
    lacking = [name for name in needed if name not in rows]
    if lacking:
        raise DataError(f"results: no column {lacking[0]!r}; run the study again")


def _check_counts(rows: pd.DataFrame, metric: str) -> None:
    """Refuse what isn't a count: a blank one would pass for zero."""
    own = metric == "cldice" or (metric == "dice" and "iou" in rows)
    check_columns(rows, [*COUNTS, *([metric] if own else [])])
    for name in COUNTS:
        values = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~((values >= 0) & (values == np.floor(values)) & np.isfinite(values)))
        if len(wrong):
            row = rows.iloc[wrong[0]]
            raise DataError(
                f"results: {name} of image {row['image']!r} of {row['arm']!r} is {row[name]}; "
                "give a whole number, 0 or more"
            )


def _rows(images: pd.DataFrame, metric: str, iou: float | str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows that a metric needs, and the part each belongs to."""
    if metric not in METRICS:
        raise ConfigError(f"metric {metric!r} is not known{suggest(metric, METRICS)}")
    instances = "iou" in images
    if not instances and metric not in SEMANTIC:
        raise ConfigError(f"metric {metric!r} is of instances, and this is a semantic task")
    if instances and metric in SEMANTIC and metric != "dice":
        raise ConfigError(f"metric {metric!r} is of semantic tasks, and this one has instances")
    if not instances:
        rows = images[images["class"] > 0] if metric == "dice" else images
        rows = rows[rows["class"] == 1] if metric == "cldice" else rows
        return rows, rows["class"].astype(str)
    if metric == "dice" or metric in WHOLE_IMAGE:
        rows = images.drop_duplicates([*RUN, "image"])
        return rows, pd.Series(0, index=rows.index)
    thresholds = images["iou"].round(2)
    if iou == "mean":
        return images, thresholds
    try:
        level = float(iou)
    except (TypeError, ValueError):
        raise ConfigError(f"iou: {iou!r}; give a threshold, such as 0.5, or 'mean'") from None
    kept = np.isclose(thresholds, level, atol=1e-6)
    if not kept.any():
        known = ", ".join(f"{t:.2f}" for t in sorted(set(thresholds)))
        raise ConfigError(f"IoU {iou} was not scored; there are {known}")
    return images[kept], thresholds[kept]


def _parts(rows: pd.DataFrame, metric: str, aggregation: str) -> tuple[pd.Series, pd.Series, pd.Series | None]:
    """Return what stands above and below the line, row by row, and what makes a part count."""
    union = rows.tp + rows.fp + rows.fn
    if "iou" not in rows and metric != "cldice":
        above, below = (2 * rows.tp, union + rows.tp) if metric == "dice" else (rows.tp, union)
        return above, below, rows.tp + rows.fn if metric == "miou_star" else union
    if metric in ("dice", "cldice"):
        seen = (union > 0) & rows[metric].notna()
        return rows[metric].where(seen, 0.0), seen.astype(float), None
    if metric in WHOLE_IMAGE:
        check_columns(rows, _PARTS_OF[metric])
    above, below = (COUNTED | WHOLE_IMAGE)[metric](rows)
    if aggregation == "pooled":
        return above, below, None
    return (above / below.where(below > 0)).fillna(0.0), (union > 0).astype(float), None


def _units(rows: pd.DataFrame, names: pd.Index) -> np.ndarray:
    """Number what is resampled: the images that share a value of `UNIT`, and each of the others by itself."""
    if UNIT not in rows:
        return np.arange(len(names))
    own = pd.DataFrame({"image": rows["image"].astype(str), UNIT: rows[UNIT].astype(object).fillna("").astype(str)})
    homes = own.drop_duplicates().set_index("image")[UNIT]
    if not homes.index.is_unique:
        name = homes.index[homes.index.duplicated()][0]
        both = ", ".join(sorted(homes[name]))
        raise DataError(f"results: image {name!r} is of several units ({both}); the run folder is damaged")
    homes = homes.loc[list(names)]
    keys = [f"group {unit}" if unit else f"image {name}" for name, unit in homes.items()]
    return np.asarray(pd.factorize(np.array(keys, object), sort=True)[0])


def _codes(keys: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Number the distinct rows; return the number of each row, and the distinct rows in that order."""
    grouped = keys.groupby(RUN, sort=True, dropna=False)
    codes = grouped.ngroup().to_numpy()
    runs = keys.assign(_code=codes).drop_duplicates("_code").sort_values("_code")
    return codes, runs[RUN].reset_index(drop=True)
