"""What a gain is worth in real images: how many more annotated ones would have brought the same.

The learning curve is the baseline's score over the amounts of real data that the study has. No formula is assumed: the
curve is the least-squares fit that never falls (isotonic regression), straight between the amounts on a logarithmic
axis, and it isn't continued past its ends. Gains are measured from that curve at the arm's own amount, so that what is
better than the baseline is worth more than nothing, and what is worse is worth less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.statistics.differences import DRAWS, LEVEL, compare
from synthbench.statistics.image_counts import check_columns

_SAME = 1e-12


@dataclass(frozen=True)
class EquivalentRealImages:
    """Additional real images that would have given an arm's gain.

    Attributes
    ----------
    value, low, high : float
        Images, and the 95 % interval; negative when the arm is worse than the baseline, 0 when it is neither. At `most`
        (or `least`) the gain (or loss) is as large as the curve's end or larger: it lies beyond the curve, and nothing
        is known of how far. The interval is NaN where that of the difference is.
    least, most : int
        The ends of the curve: its smallest and largest amount, minus the arm's own.
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

    The baseline at other amounts is compared with itself at `amount` like any arm, so that curve and gains come from
    the same resamples, paired by seed and test image, and the interval holds the uncertainty of both.

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
        If an amount isn't a positive whole number.
    ConfigError
        If the baseline isn't among the arms of `images`.
    """
    for n in (amount, *curve):
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise ValueError(f"amount: {n!r} real images; give a whole number, 1 or more")
    for rows in (images, *curve.values()):
        check_columns(rows, ["arm"])
    if baseline not in set(images["arm"]):
        raise ConfigError(f"baseline {baseline!r} is not among the arms{suggest(baseline, set(images['arm']))}")
    names = {n: f"{baseline}, {n} images" for n in sorted(curve) if n != amount}
    others = [
        rows[rows["arm"] == baseline].assign(arm=names[n], fraction=amount) for n, rows in curve.items() if n in names
    ]
    frame = pd.concat([images.assign(fraction=amount), *others], ignore_index=True)
    found = compare(frame, baseline, metric, iou, aggregation, draws, seed, unpooled=names.values())
    reached = {n: name for n, name in names.items() if name in found.draws}
    if not reached:
        return {}
    sizes = np.array(sorted([amount, *reached]))
    labels = [baseline if n == amount else reached[n] for n in sizes]
    own = int(np.flatnonzero(sizes == amount)[0])
    exact = [0.0 if name == baseline else found.differences[name].value for name in labels]
    point = _from_own(np.array([exact]), own)
    drawn = _from_own(np.stack([found.draws[name] for name in labels], axis=1), own)
    least, most = int(sizes[0]) - amount, int(sizes[-1]) - amount
    out = {}
    for arm, difference in found.differences.items():
        if arm in names.values() or arm not in found.draws:
            continue
        value = float(_needed(sizes, point, np.array([difference.value]), own)[0]) - amount
        spread = _needed(sizes, drawn, found.draws[arm], own) - amount
        low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        out[arm] = EquivalentRealImages(value, float(low), float(high), least, most)
    return out


def rising(curves: np.ndarray) -> np.ndarray:
    """Return the nearest curves that never fall: isotonic regression, all points alike, row by row.

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
    out = np.full(curves.shape, -np.inf)
    for start in range(points):
        means = (sums[:, start + 1 :] - sums[:, [start]]) / np.arange(1, points - start + 1)
        smallest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        out[:, start:] = np.maximum(out[:, start:], smallest)
    return out


def _from_own(curves: np.ndarray, own: int) -> np.ndarray:
    """Return the rising curves, ``(draws, K)``, from their height at the arm's own amount."""
    up = rising(curves)
    return up - up[:, [own]]


def _needed(sizes: np.ndarray, curves: np.ndarray, gains: np.ndarray, own: int) -> np.ndarray:
    """Return the fewest images with which each curve reaches each gain, ``(draws,)``; the ends where it doesn't.

    No gain needs no other amount than the arm's own, though a flat curve may reach it with fewer. NaN where a gain or a
    curve is.
    """
    reaches = curves >= gains[:, None] - _SAME
    after = np.where(reaches.any(axis=1), reaches.argmax(axis=1), len(sizes) - 1)
    before = np.maximum(after - 1, 0)
    rows = np.arange(len(gains))
    low, high = curves[rows, before], curves[rows, after]
    share = np.divide(gains - low, high - low, out=np.zeros(len(gains)), where=high > low)
    between = np.exp(np.log(sizes[before]) + np.clip(share, 0, 1) * (np.log(sizes[after]) - np.log(sizes[before])))
    found = np.where(~reaches.any(axis=1), sizes[-1], np.where(after == 0, sizes[0], between))
    found = np.where(np.abs(gains) <= _SAME, sizes[own], found)
    return np.where(np.isnan(gains) | np.isnan(curves).any(axis=1), np.nan, found)
