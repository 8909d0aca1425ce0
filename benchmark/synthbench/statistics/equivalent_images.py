"""How many more real images would have given the same gain, read off the learning curve of real images.

The learning curve is the baseline's score over the amounts of real data in the study. No formula is assumed: the curve
is the non-decreasing least-squares fit (isotonic regression), linear between the amounts on a logarithmic axis, and not
extrapolated. Gains are measured from that curve at the arm's own amount, so that arms better than the baseline are
equivalent to more images, and worse arms to fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from synthbench.statistics._amounts import compare_with_amounts
from synthbench.statistics.differences import DRAWS, LEVEL
from synthbench.types import AnyArray

__all__ = ["EquivalentRealImages", "equivalent_real_images", "isotonic"]

_SAME = 1e-12


@dataclass(frozen=True)
class EquivalentRealImages:
    """Number of additional real images that would have given an arm's gain.

    Attributes
    ----------
    value, low, high : float
        Number of images, and its 95 % interval; negative if the arm is worse than the baseline, 0 if it is equal. At
        `most` (or `least`) the gain (or loss) is at or beyond the end of the curve, by an unknown amount. The interval
        is NaN where that of the difference is.
    least, most : int
        The smallest and the largest amount on the curve, minus the arm's own.
    """

    value: float
    low: float
    high: float
    least: int
    most: int


def equivalent_real_images(
    images: pd.DataFrame,
    curve: Mapping[int, pd.DataFrame],
    amount: int,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, EquivalentRealImages]:
    """Read the gain of each arm off the learning curve of the baseline.

    The baseline at each other amount is one more arm of the comparison, so that curve and gains come from the same
    resamples, paired by seed and test image, and the interval includes the uncertainty of both.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.
    curve
        By amount of real data, rows of the same dataset and segmenter. Arms other than the baseline are ignored, and
        so is `amount` itself.
    amount
        Real training images behind `images`.
    baseline, metric, iou, aggregation, draws, seed
        See `synthbench.statistics.compare`.

    Returns
    -------
    dict
        By arm. Empty where the baseline was run with no other amount.

    Raises
    ------
    ValueError
        If an amount isn't an integer ≥ 1.
    ConfigError
        If the baseline isn't among the arms of `images`.
    """
    for n in (amount, *curve):
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise ValueError(f"amount: {n!r} real images; expected an integer ≥ 1")
    names = {n: f"{baseline}, {n} images" for n in sorted(curve) if n != amount}
    others = {name: curve[n] for n, name in names.items()}
    comparison = compare_with_amounts(images, others, baseline, metric, iou, aggregation, draws, seed)
    on_curve = {n: name for n, name in names.items() if name in comparison.draws}
    if not on_curve:
        return {}
    sizes = np.array(sorted([amount, *on_curve]))
    labels = [baseline if n == amount else on_curve[n] for n in sizes]
    position = int(np.flatnonzero(sizes == amount)[0])
    exact = [0.0 if name == baseline else comparison.differences[name].value for name in labels]
    point = _relative(np.array([exact]), position)
    drawn = _relative(np.stack([comparison.draws[name] for name in labels], axis=1), position)
    least, most = int(sizes[0]) - amount, int(sizes[-1]) - amount
    equivalents = {}
    for arm, difference in comparison.differences.items():
        if arm in names.values() or arm not in comparison.draws:
            continue
        value = float(_needed(sizes, point, np.array([difference.value]), position)[0]) - amount
        drawn_amounts = _needed(sizes, drawn, comparison.draws[arm], position) - amount
        low, high = np.quantile(drawn_amounts, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        equivalents[arm] = EquivalentRealImages(value, float(low), float(high), least, most)
    return equivalents


def isotonic(curves: AnyArray) -> AnyArray:
    """Return the nearest non-decreasing curves: isotonic regression with equal weights, row by row.

    By the min–max formula (Robertson 1988, eq. 1.4.4): the largest, over starts up to here, of the smallest, over ends
    from here, of the means from start to end.

    Parameters
    ----------
    curves
        ``(draws, K)``; memory goes with draws × K².

    Returns
    -------
    ndarray
        ``(draws, K)`` float64.
    """
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    points = curves.shape[1]
    fitted = np.full(curves.shape, -np.inf)
    for start in range(points):
        means = (sums[:, start + 1 :] - sums[:, [start]]) / np.arange(1, points - start + 1)
        smallest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        fitted[:, start:] = np.maximum(fitted[:, start:], smallest)
    return fitted


def _relative(curves: AnyArray, position: int) -> AnyArray:
    """Return isotonic curves, ``(draws, K)``, minus their value at the arm's own amount."""
    fitted = isotonic(curves)
    relative: AnyArray = fitted - fitted[:, [position]]
    return relative


def _needed(sizes: AnyArray, curves: AnyArray, gains: AnyArray, position: int) -> AnyArray:
    """Return the smallest amount at which each curve reaches each gain, ``(draws,)``; the ends where it doesn't.

    A gain of zero needs the arm's own amount, even where a flat curve reaches it with fewer images. NaN where a gain or
    a curve is.
    """
    reaches = curves >= gains[:, None] - _SAME
    after = np.where(reaches.any(axis=1), reaches.argmax(axis=1), len(sizes) - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(gains))
    low, high = curves[rows, before], curves[rows, after]
    share = np.divide(gains - low, high - low, out=np.zeros(len(gains)), where=high > low)
    between = np.exp(np.log(sizes[before]) + np.clip(share, 0, 1) * (np.log(sizes[after]) - np.log(sizes[before])))
    amounts = np.where(~reaches.any(axis=1), sizes[-1], np.where(after == 0, sizes[0], between))
    amounts = np.where(np.abs(gains) <= _SAME, sizes[position], amounts)
    return np.where(np.isnan(gains) | np.isnan(curves).any(axis=1), np.nan, amounts)
