"""Whether synthetic masks look like real ones: how far apart the distributions of simple measures are.

Everything is measured from the runs of equal labels in the rows of a label map, for all objects at once. That is
22 to 28 times as fast as `skimage.measure.regionprops_table` with the same measures, for 230 and 3,700 objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import TypedDict

import numpy as np

from synthbench.metrics.contacts import touching_labels
from synthbench.metrics.matching import IOU_THRESHOLDS, count, per_image, pooled
from synthbench.metrics.overlap import label_runs
from synthbench.types import AnyArray

__all__ = ["MEASURES", "Gap", "Measures", "compare_masks", "label_consistency", "measure_masks"]

MEASURES = {
    "area": "pixels of an object",
    "eccentricity": "of the ellipse with an object's moments: 0 a circle, 1 a line",
    "solidity": "area of an object / area of its convex hull",
    "spacing": "pixels from an object's centre to the nearest other one",
    "count": "objects per image",
    "covered": "share of an image's pixels that belong to an object",
    "touching": "share of an image's objects that touch another, by sides or corners",
}
"""What is measured: the first four of each object (`spacing` where its image has another), the others of each image
(`touching` where it has an object)."""

Measures = Mapping[str, AnyArray]
"""Name → float64 values, in the order of images and labels; the names are those of `MEASURES`."""


class Gap(TypedDict):
    """What `compare_masks` says of one measure; None where a side has nothing to measure.

    Attributes
    ----------
    distance : float or None
        Wasserstein-1 distance of synthetic from real, in the unit of the measure.
    real_vs_real : float or None
        The same distance of other real masks from these: the level that perfect masks would reach.
    synthetic, real : float or None
        Means.
    """

    distance: float | None
    real_vs_real: float | None
    synthetic: float | None
    real: float | None


def measure_masks(masks: Iterable[AnyArray], ignores: Iterable[AnyArray | None] | None = None) -> dict[str, AnyArray]:
    """Measure label maps of objects.

    Objects at the border of an image, or of its ignore region, count as they are. A label in several pieces is one
    object. Second moments are those of pixel centres, as scikit-image has them. The convex hull is that of the pixels
    as unit squares, so that a rectangle has solidity 1; scikit-image counts pixels in a hull of pixel centres and
    edges, and is higher by up to .05 for objects of 200 pixels.

    Parameters
    ----------
    masks
        ``(height, width)`` label maps of any integer type; 0 is background.
    ignores
        As many: bool, of the mask's shape, where the label is unknown, or None. These pixels belong to no object and
        are no part of what ``covered`` is a share of; an image of nothing else isn't measured.

    Returns
    -------
    dict
        `Measures`.

    Raises
    ------
    ValueError
        If one isn't a label map; the message says which.
    """
    parts: dict[str, list[AnyArray]] = {name: [] for name in MEASURES}
    for position, (mask, ignore) in enumerate(zip(masks, ignores or repeat(None), strict=False)):
        labels = _checked(mask, position)
        if ignore is not None and ignore.all():
            continue
        labels = labels if ignore is None else np.where(ignore, 0, labels)
        for name, values in _measure(labels, labels.size - (0 if ignore is None else int(ignore.sum()))).items():
            parts[name].append(values)
    return {name: np.concatenate(values) if values else np.zeros(0) for name, values in parts.items()}


def compare_masks(synthetic: Measures, real: Measures, others: Measures | None = None) -> dict[str, Gap]:
    """Compare the distributions of what `measure_masks` measured.

    Parameters
    ----------
    synthetic, real
        Of as many images each, for a small set is far from any other.
    others
        Measures of other real masks, for `Gap.real_vs_real`.

    Returns
    -------
    dict
        A `Gap` for each name of `MEASURES`.

    Raises
    ------
    ValueError
        If a measure is missing or holds a value that isn't finite; the message names it.
    """
    sides = {"synthetic": synthetic, "real": real} | ({"others": others} if others is not None else {})
    for side, measures in sides.items():
        for name in MEASURES:
            if name not in measures or not np.isfinite(measures[name]).all():
                raise ValueError(f"{side}: {name} is missing, or isn't finite; give what measure_masks returns")
    return {
        name: Gap(
            distance=_wasserstein(synthetic[name], real[name]),
            real_vs_real=_wasserstein(others[name], real[name]) if others is not None else None,
            synthetic=_mean(synthetic[name]),
            real=_mean(real[name]),
        )
        for name in MEASURES
    }


def label_consistency(predicted: Iterable[AnyArray], masks: Iterable[AnyArray]) -> dict[str, dict[str, list[float]]]:
    """Score what a segmenter, trained on real images alone, finds in synthetic images against their masks.

    Where it disagrees, the free labels are wrong, or the images unlike what it was trained on. Compare with its
    score on real test images.

    Parameters
    ----------
    predicted, masks
        As many label maps each, of the same shapes, in the same order.

    Returns
    -------
    dict
        ``"pooled"`` and ``"per_image"``, each with ``"precision"``, ``"recall"``, ``"f1"``, ``"jaccard_ap"``: a value
        for each of `matching.IOU_THRESHOLDS`.

    Raises
    ------
    ValueError
        If there are no images, not equally many, or one can't be compared.
    """
    found, truths = list(predicted), list(masks)
    if len(found) != len(truths):
        raise ValueError(f"predicted: {len(found)} label maps, and there are {len(truths)} masks")
    if not found:
        raise ValueError("predicted: there are no label maps")
    counts = [count(truth, one, IOU_THRESHOLDS) for truth, one in zip(truths, found, strict=True)]
    return {
        "pooled": {name: values.tolist() for name, values in pooled(counts).items()},
        "per_image": {name: values.tolist() for name, values in per_image(counts).items()},
    }


def _measure(labels: AnyArray, labelled: int) -> dict[str, AnyArray]:
    height, width = labels.shape
    rows = np.repeat(np.arange(height), width)
    starts, lengths = label_runs(labels.ravel(), rows)
    ids = labels.ravel()[starts]
    inside = ids > 0
    starts, lengths = starts[inside], lengths[inside]
    known, owner = np.unique(ids[inside], return_inverse=True)
    n = len(known)
    y, left = starts // max(width, 1), starts % max(width, 1)
    area = np.bincount(owner, lengths, n)
    middle = left + (lengths - 1) / 2
    centre_y, centre_x = (np.bincount(owner, lengths * part, n) / area for part in (y, middle))
    touching = np.array([len(touching_labels(labels)) / n]) if n else np.zeros(0)
    return {
        "area": area,
        "eccentricity": _eccentricity(owner, y - centre_y[owner], middle - centre_x[owner], lengths, area),
        "solidity": area / _hull_areas(owner, y, left, left + lengths, n),
        "spacing": _spacing(np.stack([centre_y, centre_x], axis=1)),
        "count": np.array([float(n)]),
        "covered": np.array([area.sum() / labelled]),
        "touching": touching,
    }


def _eccentricity(owner: AnyArray, dy: AnyArray, dx: AnyArray, lengths: AnyArray, area: AnyArray) -> AnyArray:
    """Return √(1 − l₂ / l₁) of the eigenvalues of each object's matrix of second moments; 0 for a single pixel."""
    n = len(area)
    yy = np.bincount(owner, lengths * dy**2, n) / area
    xx = np.bincount(owner, lengths * (dx**2 + (lengths.astype(np.float64) ** 2 - 1) / 12), n) / area
    xy = np.bincount(owner, lengths * dy * dx, n) / area
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    long, short = half + root, np.maximum(half - root, 0.0)
    eccentricity: AnyArray = np.sqrt(1 - np.divide(short, long, out=np.ones(n), where=long > 0))
    return eccentricity


def _hull_areas(owner: AnyArray, y: AnyArray, left: AnyArray, right: AnyArray, n: int) -> AnyArray:
    """Return the area of each object's convex hull, from its runs' corners."""
    owners, heights = np.tile(owner, 2), np.concatenate([y, y + 1])
    return -_under(owners, heights, np.tile(left, 2), n) - _under(owners, heights, -np.tile(right, 2), n)


def _under(owner: AnyArray, y: AnyArray, x: AnyArray, n: int) -> AnyArray:
    """Return for each object the integral over y of the lower convex envelope of its points (y, x); exact."""
    order = np.lexsort((x, y, owner))
    owner, y, x = owner[order], y[order], x[order]
    lowest = np.ones(len(owner), bool)
    lowest[1:] = (owner[1:] != owner[:-1]) | (y[1:] != y[:-1])
    owner, y, x = owner[lowest], y[lowest], x[lowest]
    while True:
        # A point on or above the line between its neighbours is none of the hull's corners; those always stay.
        before, after = (np.diff(part)[:-1] for part in (x, y)), (np.diff(part)[1:] for part in (x, y))
        (x0, y0), (x1, y1) = before, after
        within = (owner[2:] == owner[1:-1]) & (owner[1:-1] == owner[:-2])
        keep = np.ones(len(owner), bool)
        keep[1:-1] = ~(within & (x0 * y1 >= x1 * y0))
        if keep.all():
            break
        owner, y, x = owner[keep], y[keep], x[keep]
    same = owner[1:] == owner[:-1]
    strips = (np.diff(y) * (x[1:] + x[:-1]) / 2)[same]
    return np.bincount(owner[1:][same], strips, n)


def _spacing(centres: AnyArray) -> AnyArray:
    from scipy.spatial import cKDTree

    if len(centres) < 2:
        return np.zeros(0)
    return np.asarray(cKDTree(centres).query(centres, k=2)[0][:, 1], np.float64)


def _wasserstein(first: AnyArray, second: AnyArray) -> float | None:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(first, second)) if len(first) and len(second) else None


def _mean(values: AnyArray) -> float | None:
    return float(values.mean()) if len(values) else None


def _checked(mask: AnyArray, position: int) -> AnyArray:
    labels = np.asarray(mask)
    if labels.dtype == bool:
        labels = labels.view(np.uint8)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(f"masks: number {position} is {labels.dtype} of shape {labels.shape}; give (height, width)")
    if labels.min() < 0:
        raise ValueError(f"masks: number {position} holds {labels.min()}; labels are 0 (background) and above")
    return labels
