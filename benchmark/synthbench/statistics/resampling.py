"""Test images drawn again with replacement, and what every pair of runs makes of each draw.

What is drawn are units: images that belong together (a well, a patient) are drawn together, as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.statistics.image_counts import ImageCounts, combine

_CHUNK = 4_000_000
_TAG_IMAGES = 71


@dataclass(frozen=True, eq=False)
class Resampled:
    """The pairs of runs of one arm, and their differences on resampled test images.

    Attributes
    ----------
    pairs : DataFrame
        ``fold``, ``generator_seed``, ``seed``, and the row numbers ``mine`` and ``base`` in `ImageCounts.runs`; at
        least one row.
    exact : ndarray
        ``(pairs,)``, arm minus baseline on the images themselves.
    drawn : ndarray
        ``(draws, pairs)``, the same on the resamples.
    images, units : int
        Test images that some pair is scored on, and the units that they make.
    few : float
        By how much resampling so few units, of such sizes, falls short of the variance; 1 or more.
    dof : float
        Degrees of freedom of what varies over units: their number less one where all are of one size, else fewer. 0
        where nothing can be told from them.
    """

    pairs: pd.DataFrame
    exact: np.ndarray
    drawn: np.ndarray
    images: int
    units: int
    few: float
    dof: float

    @property
    def shares(self) -> np.ndarray:
        """The weight of each pair in the mean, ``(pairs,)``: folds alike, pairs alike within a fold."""
        folds = self.pairs["fold"]
        sizes = folds.map(folds.value_counts())
        return (1.0 / (sizes * folds.nunique())).to_numpy(float)


def resample(
    images: pd.DataFrame, found: ImageCounts, matched: dict[str, pd.DataFrame], draws: int, seed: int
) -> tuple[dict[str, Resampled], bool]:
    """Score all pairs on the same resamples of the test images.

    Parameters
    ----------
    images, found
        The rows of a block, and their tally.
    matched
        By arm, what `pair` returns; arms without pairs are left out.

    Returns
    -------
    dict, bool
        By arm; and whether every unit belongs to one fold, so that folds were resampled each by itself.
    """
    sides = {arm: _Sides(found, pairs) for arm, pairs in matched.items() if len(pairs)}
    weights = _Weights(images, found, draws, seed)
    drawn = {arm: np.empty((draws, len(matched[arm]))) for arm in sides}
    for start, stop, chunk in weights.chunks():
        for arm, side in sides.items():
            drawn[arm][start:stop] = side.difference(chunk)
    all_once = np.ones((1, weights.size))
    out = {}
    for arm, side in sides.items():
        few, dof = smallness([side.sizes[members] for members in weights.strata])
        counts = int(side.seen.sum()), len(np.unique(found.units[side.seen]))
        out[arm] = Resampled(matched[arm], side.difference(all_once)[0], drawn[arm], *counts, few, dof)
    return out, weights.by_fold


def smallness(strata: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return by how much a bootstrap of few units is too narrow, and the degrees of freedom of its variance.

    A mean over units of different sizes follows the largest: their residuals are small because the mean goes with them.
    Both figures are those of a weighted mean of units that vary alike (Bell & McCaffrey 2002): the variance is a
    quadratic form in the units, and the sums of powers of their shares give its trace and that of its square. For n
    units of one size they are n / (n − 1) and n − 1.

    Parameters
    ----------
    strata
        Sizes of the units, ``(units,)``, 0 or above, of each stratum that is resampled by itself; strata count alike.

    Returns
    -------
    few, dof : float
        1 and 0 where no stratum has two units.
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
    """Match an arm's runs with the baseline's: ``fold``, ``generator_seed``, ``seed``, and two row numbers in `runs`.

    A baseline without the same generator seed lends its first run of that fold and seed.
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
    return pd.DataFrame(matched, columns=["fold", "generator_seed", "seed", "mine", "base"])


def possible_pairs(runs: pd.DataFrame, arm: str, baseline: str) -> int:
    """Return how many pairs there would be, had every fold and seed that occurs been run for both arms."""
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
    """How often each unit occurs in each resample, made in chunks, the same chunks for every arm."""

    def __init__(self, images: pd.DataFrame, found: ImageCounts, draws: int, seed: int) -> None:
        units = dict(zip(found.images, found.units.tolist(), strict=True))
        homes = images[["image", "fold"]].drop_duplicates()
        homes = homes.assign(unit=homes["image"].astype(str).map(units)).dropna(subset="unit")
        home = homes.groupby("unit")["fold"].agg(["nunique", "first"]).sort_index()
        folds = home["first"].astype(str).to_numpy()
        self.strata = [np.flatnonzero(folds == f) for f in np.unique(folds)]
        self.by_fold = not (home["nunique"] > 1).any()
        if not self.by_fold:
            self.strata = [np.arange(len(home))]
        self.size, self.draws, self.seed = len(home), draws, seed

    def chunks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield the numbers of the first draw and of the one after the last, and ``(draws, units)`` float64."""
        step = max(_CHUNK // self.size, 1)
        for start in range(0, self.draws, step):
            stop = min(start + step, self.draws)
            yield start, stop, self._chunk(start, stop)

    def _chunk(self, start: int, stop: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, _TAG_IMAGES, start))
        out = np.empty((stop - start, self.size))
        for members in self.strata:
            n = len(members)
            picks = rng.integers(n, size=(stop - start, n)) + n * np.arange(stop - start)[:, None]
            out[:, members] = np.bincount(picks.ravel(), minlength=(stop - start) * n).reshape(-1, n)
        return out


class _Sides:
    """The two runs of each pair, arranged for matrix products, on the images that both have."""

    def __init__(self, found: ImageCounts, pairs: pd.DataFrame) -> None:
        mine, base = pairs["mine"].to_numpy(), pairs["base"].to_numpy()
        shared = found.present[mine] & found.present[base]
        self.seen = shared.any(axis=0)
        self._mine = _Side(found, mine, shared[:, :, None])
        self._base = _Side(found, base, shared[:, :, None])
        self.sizes = self._mine.sizes + self._base.sizes

    def difference(self, weights: np.ndarray) -> np.ndarray:
        """Return ``(draws, pairs)`` for the weights of the units, ``(draws, units)``."""
        return self._mine.score(weights) - self._base.score(weights)


class _Side:
    def __init__(self, found: ImageCounts, rows: np.ndarray, shared: np.ndarray) -> None:
        self._shape = (len(rows), found.above.shape[2])
        self._above = _flat(found.above[rows] * shared, found.units)
        self._below = _flat(found.below[rows] * shared, found.units)
        self._counts = None if found.counts is None else _flat(found.counts[rows] * shared, found.units)
        self.sizes: np.ndarray = self._below.sum(axis=1)

    def score(self, weights: np.ndarray) -> np.ndarray:
        """Return ``(draws, runs)``."""
        shape = (len(weights), *self._shape)
        counts = None if self._counts is None else (weights @ self._counts).reshape(shape)
        return combine((weights @ self._above).reshape(shape), (weights @ self._below).reshape(shape), counts)


def _flat(array: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Sum over the images of each unit: ``(runs, images, parts)`` to ``(units, runs × parts)``."""
    runs, images, parts = array.shape
    flat = np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(images, runs * parts)
    if np.array_equal(units, np.arange(images)):
        return flat
    out = np.zeros((int(units.max()) + 1, runs * parts))
    np.add.at(out, units, flat)
    return out
