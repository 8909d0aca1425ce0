"""The variance of training, pooled over all arms of a comparison by a two-way table of arms by seeds.

One arm with two seeds has a single degree of freedom. But all arms of a seed are trained on the same real patches in
the same order, and are compared with the same run of the baseline: in a table of arms (the baseline among them) by
seeds, the residuals beside the levels of arms and seeds are due to single trainings. With A compared arms and S seeds
their variance has A · (S − 1) degrees of freedom.

This assumes that the trainings of all arms vary equally. Each arm's share of the residuals is compared with that of the
others (F test). An arm that varies more than the others keeps its own variance, and is removed from the table if it is
an extreme outlier. If it is the baseline, which all differences share, nothing is pooled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.types import AnyArray

__all__ = [
    "ARM_OUTLIER_P",
    "BASELINE_OUTLIER_P",
    "REMOVED_OUTLIER_P",
    "PooledVariance",
    "pool_variance",
    "two_way",
]

ARM_OUTLIER_P = 0.05
"""An arm is an outlier below this p."""

BASELINE_OUTLIER_P = 0.1
"""The baseline is an outlier below this p; larger, because every difference depends on it."""

REMOVED_OUTLIER_P = 0.001
"""An arm is removed from the table below this p; a larger value would bias the variance of the others downward."""

_SAME = 1e-12


@dataclass(frozen=True)
class PooledVariance:
    """The variance of one training of the segmenter, and the arms that it holds for.

    Attributes
    ----------
    variance, dof : float
        The variance and its degrees of freedom.
    scales : dict of str to float
        By arm: the squared error of its mean difference, in units of `variance`.
    wild : frozenset of str
        Arms that vary more than the others.
    baseline_wild : bool
        Whether the baseline does.
    """

    variance: float
    dof: float
    scales: Mapping[str, float]
    outliers: frozenset[str]
    baseline_is_outlier: bool


def pool_variance(
    pairs: Mapping[str, pd.DataFrame], differences: Mapping[str, AnyArray], unpooled: Collection[str] = ()
) -> PooledVariance | None:
    """Estimate the variance of training from all arms that can be put into one table of arms by seeds.

    Parameters
    ----------
    pairs, differences
        By arm: its pairs of runs, and their differences; see
        `synthbench.statistics.variance_components.training_component`.
    unpooled
        Arms that aren't assumed to vary like the others.

    Returns
    -------
    Together or None
        None where fewer than two arms are compared over two seeds or more, with several folds, or where nothing varies.
    """
    if any(own["fold"].nunique() > 1 for own in pairs.values()):
        return None
    tables = {arm: _by_seed(own, differences[arm]) for arm, own in pairs.items() if arm not in unpooled}
    known = {arm: table for arm, table in tables.items() if table is not None}
    bases: dict[Any, frozenset[int]] = {}
    for table in known.values():
        for seed, base in table["base"].items():
            if bases.setdefault(seed, base) != base:
                return None
    rows = _distinct({arm: table for arm, table in known.items() if len(table) > 1})
    outliers: set[str] = set()
    while len(rows) > 1:
        variance, dof, p = _fit(rows, bases)
        baseline_p = p.pop("")
        outliers |= {arm for arm, value in p.items() if value < ARM_OUTLIER_P}
        furthest = min(p, key=lambda arm: p[arm])
        if p[furthest] < min(REMOVED_OUTLIER_P, baseline_p) and len(rows) > 2:
            del rows[furthest]
            continue
        if not variance > _SAME**2:
            return None
        scales = {}
        for arm, table in known.items():
            shared = np.array([1 / len(bases[seed]) for seed in table.index])
            scales[arm] = float((table["scale"] + shared).sum()) / len(table) ** 2
        return PooledVariance(variance, dof, scales, frozenset(outliers), baseline_p < BASELINE_OUTLIER_P)
    return None


def _fit(
    rows: Mapping[str, pd.DataFrame], bases: Mapping[Any, frozenset[int]]
) -> tuple[float, float, dict[str, float]]:
    """Return the variance of one training, its degrees of freedom, and p of each arm; the baseline's is ``""``."""
    seeds = sorted(set().union(*(table.index for table in rows.values())))
    cells = [("", seed, 0.0, 1 / len(bases[seed])) for seed in seeds]
    for arm, table in rows.items():
        own = zip(table.index, table["d"], table["scale"], strict=True)
        cells += [(arm, seed, value, scale) for seed, value, scale in own]
    frame = pd.DataFrame(cells, columns=["arm", "seed", "d", "scale"])
    row, arms = pd.factorize(frame["arm"])
    column = pd.factorize(frame["seed"])[0]
    variance, dof, p = two_way(frame["d"].to_numpy()[None], row, column, frame["scale"].to_numpy())
    return float(variance[0]), dof, dict(zip(arms, p[0].tolist(), strict=True))


def two_way(values: AnyArray, row: AnyArray, column: AnyArray, scale: AnyArray) -> tuple[AnyArray, float, AnyArray]:
    """Fit one level per row plus one per column, and return the variance of the residuals.

    Parameters
    ----------
    values
        ``(studies, cells)``.
    row, column
        ``(cells,)``, int from 0; not every row needs every column.
    scale
        ``(cells,)``: the variance of each cell, in units of the one that is sought.

    Returns
    -------
    variance : ndarray
        ``(studies,)``.
    dof : float
        Degrees of freedom of the variance.
    p : ndarray
        ``(studies, rows)``: p-value of the hypothesis that a row varies no more than the others; 1 without a test.
    """
    from scipy.special import fdtrc

    total, dof = _residuals(values, row, column, scale)
    p = np.ones((len(values), int(row.max()) + 1))
    for name in range(p.shape[1]):
        others = row != name
        others2, others_dof = _residuals(values[:, others], row[others], column[others], scale[others])
        if others_dof < 1 or dof <= others_dof:
            continue
        share = np.maximum(total - others2, 0.0) / (dof - others_dof)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(share > _SAME**2, share / (others2 / others_dof), 0.0)
        p[:, name] = fdtrc(dof - others_dof, others_dof, ratio)
    return total / max(dof, 1), float(dof), p


def _residuals(values: AnyArray, row: AnyArray, column: AnyArray, scale: AnyArray) -> tuple[AnyArray, int]:
    """Return the weighted sum of squared residuals, ``(studies,)``, and its degrees of freedom."""
    weight = 1 / np.sqrt(scale)
    design = np.hstack([row[:, None] == np.unique(row), column[:, None] == np.unique(column)]) * weight[:, None]
    basis, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes[0]]
    weighted = values * weight
    residuals = weighted - (weighted @ basis) @ basis.T
    return np.square(residuals).sum(axis=1), len(row) - basis.shape[1]


def _by_seed(pairs: pd.DataFrame, difference: AnyArray) -> pd.DataFrame | None:
    """Return by seed the mean difference ``d``, its ``scale`` beside the baseline's, and the baseline's runs ``base``.

    None where segmenter seeds have different generator seeds, since the two effects couldn't be separated.
    """
    seeds = pairs.assign(d=difference).groupby("seed")
    generators = {frozenset(own["generator_seed"]) for _, own in seeds}
    if len(generators) > 1:
        return None
    table = pd.DataFrame({"d": seeds["d"].mean(), "scale": 1 / seeds["d"].size()})
    return table.assign(base=pd.Series({seed: frozenset(own["base"]) for seed, own in seeds}))


def _distinct(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Leave out arms whose differences equal those of the baseline or another arm: they aren't independent."""
    kept: dict[str, pd.DataFrame] = {}
    for arm, table in tables.items():
        twin = any(
            table.index.equals(other.index) and np.allclose(_centred(table), _centred(other), rtol=0, atol=_SAME)
            for other in kept.values()
        )
        if not twin and float(np.abs(_centred(table)).max()) > _SAME:
            kept[arm] = table
    return kept


def _centred(table: pd.DataFrame) -> AnyArray:
    values = table["d"].to_numpy(float)
    centred: AnyArray = values - values.mean()
    return centred
