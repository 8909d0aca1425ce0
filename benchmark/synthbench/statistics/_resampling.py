"""Test images resampled with replacement, and the difference of every pair of runs on each resample.

What is resampled are units: images that belong together (of one well, of one patient) are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.statistics._frames import check_baseline
from synthbench.statistics.image_counts import ImageCounts, combine, image_counts
from synthbench.types import AnyArray

__all__ = ["CHUNK_SIZE", "Resampled", "ResampledBlock", "pair", "possible_pairs", "resample_block", "smallness"]

CHUNK_SIZE = 4_000_000
"""Draws times images that are weighted at once; it bounds the memory."""
_TAG_IMAGES = 71


@dataclass(frozen=True, eq=False)
class Resampled:
    """The pairs of runs of one arm, and their differences on resampled test images.

    Attributes
    ----------
    pairs : DataFrame
        ``fold``, ``generator_seed``, ``seed``, and the row numbers ``run`` (of the arm) and ``base`` (of the baseline)
        in `ImageCounts.runs`; at least one row.
    exact : ndarray
        ``(pairs,)``: arm minus baseline on the images themselves.
    drawn : ndarray
        ``(draws, pairs)``: the same on the resamples.
    images, units : int
        Test images that at least one pair is scored on, and the units that they form.
    inflation : float
        Factor by which the variance of the resamples has to be multiplied, for so few units of such sizes; 1 or more.
    dof : float
        Degrees of freedom of the variance over units: their number minus one where all have the same size, else fewer.
        0 where the variance can't be estimated.
    """

    pairs: pd.DataFrame
    exact: AnyArray
    drawn: AnyArray
    images: int
    units: int
    inflation: float
    dof: float

    @property
    def weights(self) -> AnyArray:
        """The weight of each pair in the mean, ``(pairs,)``: folds count equally, and pairs within a fold."""
        folds = self.pairs["fold"]
        sizes = folds.map(folds.value_counts())
        return (1.0 / (sizes * folds.nunique())).to_numpy(float)


@dataclass(frozen=True, eq=False)
class ResampledBlock:
    """The arms of a block against one baseline, on the same resamples.

    Attributes
    ----------
    counts : ImageCounts
    others : list of str
        The arms but for the baseline, in alphabetical order.
    arms : dict of str to Resampled
        Those of them that have pairs.
    by_fold : bool
        Whether every unit belongs to one fold, so that each fold was resampled by itself.
    """

    counts: ImageCounts
    others: list[str]
    arms: dict[str, Resampled]
    by_fold: bool


def resample_block(
    images: pd.DataFrame, baseline: str, metric: str, iou: float | str, aggregation: str, draws: int, seed: int
) -> ResampledBlock:
    """Pair the runs of each arm with those of the baseline, and score all pairs on the same resampled test images.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter.
    baseline
        The arm to pair with.
    metric, iou, aggregation
        See `synthbench.statistics.image_counts.image_counts`.
    draws
        Number of resamples.
    seed
        Seed of the resamples.

    Raises
    ------
    ConfigError, DataError
        As `synthbench.statistics.image_counts.image_counts` does, and if the baseline is not among the arms.
    """
    counts = image_counts(images, metric, iou, aggregation)
    check_baseline(counts.runs["arm"], baseline)
    others = sorted(set(counts.runs["arm"]) - {baseline})
    matched = {arm: pairs for arm in others if len(pairs := pair(counts.runs, arm, baseline))}
    both_runs = {arm: _Pairs(counts, pairs) for arm, pairs in matched.items()}
    weights = _Weights(images, counts, draws, seed)
    drawn = {arm: np.empty((draws, len(pairs))) for arm, pairs in matched.items()}
    for start, stop, chunk in weights.chunks():
        for arm, runs in both_runs.items():
            drawn[arm][start:stop] = runs.difference(chunk)
    all_once = np.ones((1, weights.size))
    arms = {}
    for arm, runs in both_runs.items():
        inflation, dof = smallness([runs.sizes[members] for members in weights.strata])
        arms[arm] = Resampled(
            matched[arm],
            runs.difference(all_once)[0],
            drawn[arm],
            int(runs.scored.sum()),
            len(np.unique(counts.units[runs.scored])),
            inflation,
            dof,
        )
    return ResampledBlock(counts, others, arms, weights.by_fold)


def smallness(strata: Sequence[AnyArray]) -> tuple[float, float]:
    """Return by how much a bootstrap of few units is too narrow, and the degrees of freedom of its variance.

    A mean over units of different sizes follows the largest: their residuals are small because the mean moves with
    them. Both numbers are those of a weighted mean of units with equal variance (Bell & McCaffrey 2002): the variance
    is a quadratic form in the units, and sums of powers of their relative sizes give its trace and that of its square.
    For n units of one size they are n / (n − 1) and n − 1.

    Parameters
    ----------
    strata
        Sizes of the units, ``(units,)``, 0 or above, of each stratum that is resampled by itself; strata count equally.

    Returns
    -------
    inflation : float
        Factor by which the variance is inflated.
    dof : float
        Degrees of freedom; the two are 1 and 0 where no stratum has two units.
    """
    truth = expected = squares = 0.0
    for sizes in strata:
        if not sizes.sum() > 0:
            continue
        s2, s3, s4, s5 = (float(np.sum((sizes / sizes.sum()) ** power)) for power in (2, 3, 4, 5))
        truth += s2
        expected += s2 - 2 * s3 + s2**2
        squares += s4 + 2 * s3**2 + 4 * s2 * s4 + s2**4 - 4 * s5 - 4 * s2**2 * s3
    if expected < 1e-12:
        return 1.0, 0.0
    return truth / expected, expected**2 / squares


def pair(runs: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
    """Match the runs of an arm with those of the baseline.

    A run for whose generator seed the baseline has none is matched with the baseline's first run of that fold and seed.

    Parameters
    ----------
    runs
        `ImageCounts.runs`.

    Returns
    -------
    DataFrame
        ``fold``, ``generator_seed``, ``seed``, and the row numbers ``run`` and ``base`` in `runs`.
    """
    exact: dict[tuple[Any, ...], int] = {}
    first: dict[tuple[Any, ...], int] = {}
    keys = list(runs.itertuples(index=False, name=None))
    for row, (name, fold, generator_seed, seed) in enumerate(keys):
        if name == baseline:
            exact[fold, generator_seed, seed] = row
            first.setdefault((fold, seed), row)
    matched = []
    for row, (name, fold, generator_seed, seed) in enumerate(keys):
        base = exact.get((fold, generator_seed, seed), first.get((fold, seed)))
        if name == arm and base is not None:
            matched.append((fold, generator_seed, seed, row, base))
    return pd.DataFrame(matched, columns=["fold", "generator_seed", "seed", "run", "base"])


def possible_pairs(runs: pd.DataFrame, arm: str, baseline: str) -> int:
    """Return the number of pairs if every fold and seed that occurs had been run for both arms."""
    trained: set[tuple[Any, Any]] = set()
    generators: dict[tuple[Any, Any], set[str]] = {}
    for name, fold, generator_seed, seed in runs.itertuples(index=False, name=None):
        if name in (arm, baseline):
            trained.add((fold, seed))
        if name == arm:
            generators.setdefault((fold, seed), set()).add(generator_seed)
    crossed = any(len(seeds) > 1 for seeds in generators.values())
    return len(trained) * (len(set().union(*generators.values())) if crossed else 1)


class _Weights:
    """How often each unit occurs in each resample, made chunk by chunk, the same for every arm."""

    def __init__(self, images: pd.DataFrame, counts: ImageCounts, draws: int, seed: int) -> None:
        units = dict(zip(counts.images, counts.units.tolist(), strict=True))
        rows = images[["image", "fold"]].drop_duplicates()
        rows = rows.assign(unit=rows["image"].astype(str).map(units)).dropna(subset="unit")
        fold_of_unit = rows.groupby("unit")["fold"].agg(["nunique", "first"]).sort_index()
        folds = fold_of_unit["first"].astype(str).to_numpy()
        self.strata = [np.flatnonzero(folds == f) for f in np.unique(folds)]
        self.by_fold = not (fold_of_unit["nunique"] > 1).any()
        if not self.by_fold:
            self.strata = [np.arange(len(fold_of_unit))]
        self.size, self.draws, self.seed = len(fold_of_unit), draws, seed

    def chunks(self) -> Iterator[tuple[int, int, AnyArray]]:
        """Yield the numbers of the first draw and of the one after the last, and ``(draws, units)`` float64."""
        step = max(CHUNK_SIZE // self.size, 1)
        for start in range(0, self.draws, step):
            stop = min(start + step, self.draws)
            yield start, stop, self._chunk(start, stop)

    def _chunk(self, start: int, stop: int) -> AnyArray:
        rng = np.random.default_rng((self.seed, _TAG_IMAGES, start))
        weights = np.empty((stop - start, self.size))
        for members in self.strata:
            n = len(members)
            picks = rng.integers(n, size=(stop - start, n)) + n * np.arange(stop - start)[:, None]
            weights[:, members] = np.bincount(picks.ravel(), minlength=(stop - start) * n).reshape(-1, n)
        return weights


class _Pairs:
    """The two runs of each pair, arranged for matrix products, on the images that both have."""

    def __init__(self, counts: ImageCounts, pairs: pd.DataFrame) -> None:
        run, base = pairs["run"].to_numpy(), pairs["base"].to_numpy()
        shared = counts.present[run] & counts.present[base]
        self.scored = shared.any(axis=0)
        self._run = _Runs(counts, run, shared[:, :, None])
        self._base = _Runs(counts, base, shared[:, :, None])
        self.sizes = self._run.sizes + self._base.sizes

    def difference(self, weights: AnyArray) -> AnyArray:
        """Return ``(draws, pairs)`` for the weights of the units, ``(draws, units)``."""
        return self._run.score(weights) - self._base.score(weights)


class _Runs:
    """One run of each pair: sums over the images of each unit."""

    def __init__(self, counts: ImageCounts, rows: AnyArray, shared: AnyArray) -> None:
        self._shape = (len(rows), counts.numerator.shape[2])
        self._numerator = _by_unit(counts.numerator[rows] * shared, counts.units)
        self._denominator = _by_unit(counts.denominator[rows] * shared, counts.units)
        part_counts = counts.part_counts
        self._part_counts = None if part_counts is None else _by_unit(part_counts[rows] * shared, counts.units)
        self.sizes: AnyArray = self._denominator.sum(axis=1)

    def score(self, weights: AnyArray) -> AnyArray:
        """Return ``(draws, runs)``."""
        shape = (len(weights), *self._shape)
        part_counts = None if self._part_counts is None else (weights @ self._part_counts).reshape(shape)
        numerator, denominator = (weights @ side for side in (self._numerator, self._denominator))
        return combine(numerator.reshape(shape), denominator.reshape(shape), part_counts)


def _by_unit(array: AnyArray, units: AnyArray) -> AnyArray:
    """Sum over the images of each unit: ``(runs, images, parts)`` to ``(units, runs × parts)``."""
    runs, images, parts = array.shape
    flat = np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(images, runs * parts)
    if np.array_equal(units, np.arange(images)):
        return flat
    sums = np.zeros((int(units.max()) + 1, runs * parts))
    np.add.at(sums, units, flat)
    return sums
