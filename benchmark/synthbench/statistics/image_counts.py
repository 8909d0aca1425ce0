"""From the rows of an `images` frame to arrays: every metric is a ratio of sums over images.

Pooled F1 is Σ 2·TP / Σ (2·TP + FP + FN); a mean over images is Σ value / Σ 1. So the score of a resample is two matrix
products, one for the numerators and one for the denominators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, DataError, suggest
from synthbench.metrics.rates import RATES, divide
from synthbench.statistics._frames import check_columns
from synthbench.types import AnyArray

__all__ = [
    "AGGREGATIONS",
    "BLOCK",
    "COUNTED",
    "METRICS",
    "RUN",
    "SEMANTIC",
    "UNIT",
    "WHOLE_IMAGE",
    "ZERO_IF_NOTHING_FOUND",
    "ImageCounts",
    "combine",
    "image_counts",
    "run_scores",
    "seed_text",
]

RUN = ["arm", "fold", "generator_seed", "seed"]
"""Columns that identify one training of the segmenter within a comparison block."""

BLOCK = ["dataset", "tested_on", "fraction", "segmenter"]
"""Columns that a comparison holds fixed."""

Fraction = Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]

COUNTED = tuple(RATES)
"""Metrics of instances from counts at an IoU threshold."""
WHOLE_IMAGE: dict[str, Fraction] = {
    "pq": lambda rows: (2 * rows.pq_iou_sum, rows.true + rows.predicted),
    "sq": lambda rows: (rows.pq_iou_sum, rows.pq_tp),
    "rq": lambda rows: (2 * rows.pq_tp, rows.true + rows.predicted),
    "aji": lambda rows: (rows.aji_shared, rows.aji_union),
    "aji_plus": lambda rows: (rows.aji_plus_shared, rows.aji_plus_union),
}
"""Metrics of instances without a threshold: one value per image."""
SEMANTIC = ("miou", "miou_star", "dice", "cldice")
METRICS = (*COUNTED, *WHOLE_IMAGE, *SEMANTIC)
ZERO_IF_NOTHING_FOUND = ("tp", "pq_tp", "pq_iou_sum", "aji_shared", "aji_plus_shared")
"""Columns that are 0 for a segmenter that finds nothing."""
AGGREGATIONS = ("pooled", "per_image")
UNIT = "unit"
"""Column of the unit that a test image is resampled with; an image without a value is a unit by itself."""

_PANOPTIC = ("true", "predicted", "pq_tp", "pq_iou_sum")
_NEEDED = {
    **dict.fromkeys(("pq", "sq", "rq"), _PANOPTIC),
    "aji": ("aji_shared", "aji_union"),
    "aji_plus": ("aji_plus_shared", "aji_plus_union"),
}
_COUNTS = ("tp", "fp", "fn")


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """One metric of every run and image of a block, as numerators and denominators.

    Attributes
    ----------
    runs : DataFrame
        One row per run: ``arm``, ``fold``, ``generator_seed`` (text, empty for none), ``seed``.
    images : list of str
        Names of the images.
    units : ndarray
        ``(images,)``, int: images with the same number (of one well, of one patient) are resampled together.
    numerator, denominator : ndarray
        ``(runs, images, parts)`` float64; a part is an IoU threshold or a class. Zero where a run lacks an image.
    part_counts : ndarray or None
        ``(runs, images, parts)``: a part enters the mean over parts only where the sum of this over images is above
        zero; None: every part does.
    present : ndarray
        ``(runs, images)`` bool.
    """

    runs: pd.DataFrame
    images: list[str]
    units: AnyArray
    numerator: AnyArray
    denominator: AnyArray
    part_counts: AnyArray | None
    present: AnyArray

    def scores(self) -> AnyArray:
        """Return the score of each run over all its images, ``(runs,)``."""
        part_counts = None if self.part_counts is None else self.part_counts.sum(axis=1)
        return combine(self.numerator.sum(axis=1), self.denominator.sum(axis=1), part_counts)

    def scores_by_part(self) -> AnyArray:
        """Return the score of each run by part over all its images, ``(runs, parts)``."""
        return divide(self.numerator.sum(axis=1), self.denominator.sum(axis=1))


def combine(numerator: AnyArray, denominator: AnyArray, part_counts: AnyArray | None) -> AnyArray:
    """Divide sums, ``(…, parts)``, 0/0 being 0; return the mean over the parts whose count is above zero, ``(…,)``."""
    ratio = divide(numerator, denominator)
    means: AnyArray
    if part_counts is None:
        means = ratio.mean(axis=-1)
    else:
        kept = part_counts > 0
        means = (ratio * kept).sum(axis=-1) / np.maximum(kept.sum(axis=-1), 1)
    return means


def image_counts(
    images: pd.DataFrame, metric: str = "f1", iou: float | str = 0.5, aggregation: str = "pooled"
) -> ImageCounts:
    """Arrange one metric of one comparison block.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter.
    metric
        One of `METRICS`. Instances have ``f1``, ``precision``, ``recall``, ``jaccard_ap``, ``dice`` (of the
        foreground, a mean over images with any), ``pq``, ``sq`` and ``rq`` (matched at IoU above 0.5), ``aji`` and
        ``aji_plus`` (`synthbench.metrics.aggregated_jaccard`). Semantic tasks have ``miou``, ``miou_star`` and
        ``dice``, from pixels summed over the test set (means over the classes in truth or prediction, over those in
        the truth, over those except class 0), and ``cldice``, a mean over images with any foreground.
    iou
        A threshold of the frame, or ``"mean"`` for the mean over all of them. Ignored by the other metrics.
    aggregation
        ``"pooled"``: counts are summed over the test set. ``"per_image"``: mean over images, without those that have
        neither true nor predicted objects.

    Raises
    ------
    ConfigError
        If the metric, the threshold or the aggregation isn't available.
    DataError
        If the frame is empty, lacks a column, holds several blocks, a row twice, or an invalid count.
    """
    _check_block(images)
    rows, part = _rows(images, metric, iou)
    if aggregation not in AGGREGATIONS:
        raise ConfigError(f"aggregation {aggregation!r} is not one of {', '.join(AGGREGATIONS)}")
    _check_counts(rows, metric)
    numerator, denominator, part_counts = _fractions(rows, metric, aggregation)
    keys = rows[RUN].copy()
    keys["generator_seed"] = seed_text(rows["generator_seed"])
    run_codes, runs = _codes(keys)
    image_codes, names = pd.factorize(rows["image"].astype(str), sort=True)
    part_codes, parts = pd.factorize(part.to_numpy(), sort=True)
    shape = (len(runs), len(names), len(parts))
    where = (run_codes, image_codes, part_codes)
    if len(np.unique(np.ravel_multi_index(where, shape))) < len(rows):
        raise DataError("results: an image of a run occurs twice; the run folder is damaged, run the study again")

    def as_array(values: pd.Series) -> AnyArray:
        array = np.zeros(shape)
        array[where] = values.to_numpy(float)
        return array

    present = np.zeros(shape[:2], bool)
    present[run_codes, image_codes] = True
    return ImageCounts(
        runs,
        [str(n) for n in names],
        _units(rows, names),
        as_array(numerator),
        as_array(denominator),
        None if part_counts is None else as_array(part_counts),
        present,
    )


def run_scores(
    images: pd.DataFrame, metric: str = "f1", iou: float | str = 0.5, aggregation: str = "pooled"
) -> pd.DataFrame:
    """Score every run of one block; see `image_counts`.

    Returns
    -------
    DataFrame
        One row per run: ``arm``, ``fold``, ``generator_seed``, ``seed``, ``score`` (0 … 1).
    """
    counts = image_counts(images, metric, iou, aggregation)
    return counts.runs.assign(score=counts.scores())


def seed_text(seeds: pd.Series) -> pd.Series:
    """Return generator seeds as text, empty for none, whatever type a CSV reader gave them."""
    codes, known = pd.factorize(pd.to_numeric(seeds, errors="coerce"))
    texts = np.array([*(str(int(number)) for number in known), ""], dtype=object)
    return pd.Series(texts[codes], index=seeds.index)


def _check_block(images: pd.DataFrame) -> None:
    if images.empty:
        raise DataError("results: no image was scored")
    check_columns(images, [*RUN, "image"])
    if "iou" not in images and "class" not in images:
        raise DataError("results: no column 'iou' or 'class'; run the study again")
    for name in BLOCK:
        if name in images and images[name].nunique(dropna=False) > 1:
            values = ", ".join(str(v) for v in images[name].unique()[:4])
            raise DataError(f"results hold several values of {name} ({values} …); compare one at a time")


def _check_counts(rows: pd.DataFrame, metric: str) -> None:
    """Refuse what isn't a count: a blank one would be taken for zero."""
    needs_column = metric == "cldice" or (metric == "dice" and "iou" in rows)
    check_columns(rows, [*_COUNTS, *([metric] if needs_column else [])])
    for name in _COUNTS:
        values = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~((values >= 0) & (values == np.floor(values)) & np.isfinite(values)))
        if len(wrong):
            row = rows.iloc[wrong[0]]
            raise DataError(
                f"results: {name} of image {row['image']!r} of {row['arm']!r} is {row[name]}; expected an integer ≥ 0"
            )


def _rows(images: pd.DataFrame, metric: str, iou: float | str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows that a metric needs, and the part that each belongs to."""
    if metric not in METRICS:
        raise ConfigError(f"metric {metric!r} is not known{suggest(metric, METRICS)}")
    instances = "iou" in images
    if not instances and metric not in SEMANTIC:
        raise ConfigError(f"metric {metric!r} requires an instance-segmentation task, but this one is semantic")
    if instances and metric in SEMANTIC and metric != "dice":
        raise ConfigError(f"metric {metric!r} requires a semantic-segmentation task, but this one has instances")
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
        threshold = float(iou)
    except (TypeError, ValueError):
        raise ConfigError(f"iou: {iou!r}; expected a threshold such as 0.5, or 'mean'") from None
    kept = np.isclose(thresholds, threshold, atol=1e-6)
    if not kept.any():
        known = ", ".join(f"{t:.2f}" for t in sorted(set(thresholds)))
        raise ConfigError(f"IoU {iou} was not scored; available: {known}")
    return images[kept], thresholds[kept]


def _fractions(rows: pd.DataFrame, metric: str, aggregation: str) -> tuple[pd.Series, pd.Series, pd.Series | None]:
    """Return numerators and denominators, row by row, and the counts by which a part enters the mean."""
    tp, fp, fn = rows.tp, rows.fp, rows.fn
    if "iou" not in rows and metric != "cldice":
        numerator, denominator = RATES["f1" if metric == "dice" else "jaccard_ap"](tp, fp, fn)
        return numerator, denominator, tp + fn if metric == "miou_star" else tp + fp + fn
    occurs = tp + fp + fn > 0
    if metric in ("dice", "cldice"):
        scored = occurs & rows[metric].notna()
        return rows[metric].where(scored, 0.0), scored.astype(float), None
    if metric in WHOLE_IMAGE:
        check_columns(rows, _NEEDED[metric])
        numerator, denominator = WHOLE_IMAGE[metric](rows)
    else:
        numerator, denominator = RATES[metric](tp, fp, fn)
    if aggregation == "pooled":
        return numerator, denominator, None
    return (numerator / denominator.where(denominator > 0)).fillna(0.0), occurs.astype(float), None


def _units(rows: pd.DataFrame, names: pd.Index) -> AnyArray:
    """Number the units: the images that share a value of `UNIT`, and each of the others by itself."""
    if UNIT not in rows:
        return np.arange(len(names))
    unit = rows[UNIT].astype(object).fillna("").astype(str)
    by_image = pd.DataFrame({"image": rows["image"].astype(str), UNIT: unit}).drop_duplicates().set_index("image")[UNIT]
    if not by_image.index.is_unique:
        name = by_image.index[by_image.index.duplicated()][0]
        several = ", ".join(sorted(by_image[name]))
        raise DataError(f"results: image {name!r} belongs to several units ({several}); the run folder is damaged")
    by_image = by_image.loc[list(names)]
    keys = [f"group {unit}" if unit else f"image {name}" for name, unit in by_image.items()]
    return np.asarray(pd.factorize(np.array(keys, object), sort=True)[0])


def _codes(keys: pd.DataFrame) -> tuple[AnyArray, pd.DataFrame]:
    """Number the distinct rows; return the number of each row, and the distinct rows in that order."""
    grouped = keys.groupby(RUN, sort=True, dropna=False)
    codes = grouped.ngroup().to_numpy()
    runs = keys.assign(_code=codes).drop_duplicates("_code").sort_values("_code")
    return codes, runs[RUN].reset_index(drop=True)
