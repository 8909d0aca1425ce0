"""Test images drawn again with replacement, and what every pair of runs makes of each draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.statistics.tallies import Tally, combine

_BLOCK = 4_000_000
_TAG_IMAGES = 71


@dataclass(frozen=True, eq=False)
class Resampled:
    """The pairs of runs of one arm, and their differences on resampled test images.

    Attributes
    ----------
    pairs : DataFrame
        ``fold``, ``generator_seed``, ``seed``, and the rows ``mine`` and ``base`` of `Tally.runs`; one row or more.
    exact : ndarray
        ``(pairs,)``, arm minus baseline on the images themselves.
    drawn : ndarray
        ``(draws, pairs)``, the same on the resamples.
    images : int
        Test images that some pair is scored on.
    freedom : int
        Degrees of freedom of what varies over images: their number, minus the groups they were resampled in. 0 where
        nothing can be told from them.
    """

    pairs: pd.DataFrame
    exact: np.ndarray
    drawn: np.ndarray
    images: int
    freedom: int

    @property
    def shares(self) -> np.ndarray:
        """The weight of each pair in the mean, ``(pairs,)``: folds alike, pairs alike within a fold."""
        folds = self.pairs["fold"]
        sizes = folds.map(folds.value_counts())
        return (1.0 / (sizes * folds.nunique())).to_numpy(float)


def resample(
    images: pd.DataFrame, found: Tally, matched: dict[str, pd.DataFrame], draws: int, seed: int
) -> tuple[dict[str, Resampled], bool]:
    """Score all pairs on the same resamples of the test images.

    Parameters
    ----------
    images, found
        The rows of a cell, and their tally.
    matched
        By arm, what `pair` returns; arms without pairs are left out.

    Returns
    -------
    dict, bool
        By arm; and whether every image belongs to one fold, so that folds were resampled each by itself.
    """
    sides = {arm: _Sides(found, pairs) for arm, pairs in matched.items() if len(pairs)}
    weights = _Weights(images, found.images, draws, seed)
    drawn = {arm: np.empty((draws, len(matched[arm]))) for arm in sides}
    for start, stop, block in weights.blocks():
        for arm, side in sides.items():
            drawn[arm][start:stop] = side.difference(block)
    once = np.ones((1, len(found.images)))
    out = {}
    for arm, side in sides.items():
        groups = sum(bool(side.seen[members].any()) for members in weights.strata)
        count = int(side.seen.sum())
        out[arm] = Resampled(matched[arm], side.difference(once)[0], drawn[arm], count, max(count - groups, 0))
    return out, weights.by_fold


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
    """How often each test image occurs in each resample, made block by block, the same blocks for every arm."""

    def __init__(self, images: pd.DataFrame, names: list[str], draws: int, seed: int) -> None:
        homes = images[["image", "fold"]].drop_duplicates()
        home = homes.groupby(homes["image"].astype(str))["fold"].agg(["nunique", "first"]).loc[names]
        folds = home["first"].astype(str).to_numpy()
        self.strata = [np.flatnonzero(folds == f) for f in np.unique(folds)]
        self.by_fold = not (home["nunique"] > 1).any()
        if not self.by_fold:
            self.strata = [np.arange(len(names))]
        self.size, self.draws, self.seed = len(names), draws, seed

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield the numbers of the first draw and of the one after the last, and ``(draws, images)`` float64."""
        step = max(_BLOCK // self.size, 1)
        for start in range(0, self.draws, step):
            stop = min(start + step, self.draws)
            yield start, stop, self._block(start, stop)

    def _block(self, start: int, stop: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, _TAG_IMAGES, start))
        out = np.empty((stop - start, self.size))
        for members in self.strata:
            n = len(members)
            picks = rng.integers(n, size=(stop - start, n)) + n * np.arange(stop - start)[:, None]
            out[:, members] = np.bincount(picks.ravel(), minlength=(stop - start) * n).reshape(-1, n)
        return out


class _Sides:
    """The two runs of each pair, arranged for matrix products, on the images that both have."""

    def __init__(self, found: Tally, pairs: pd.DataFrame) -> None:
        mine, base = pairs["mine"].to_numpy(), pairs["base"].to_numpy()
        shared = found.present[mine] & found.present[base]
        self.seen = shared.any(axis=0)
        self._mine = _Side(found, mine, shared[:, :, None])
        self._base = _Side(found, base, shared[:, :, None])

    def difference(self, weights: np.ndarray) -> np.ndarray:
        """Return ``(draws, pairs)`` for the weights of the images, ``(draws, images)``."""
        return self._mine.score(weights) - self._base.score(weights)


class _Side:
    def __init__(self, found: Tally, rows: np.ndarray, shared: np.ndarray) -> None:
        self._shape = (len(rows), found.above.shape[2])
        self._above = _flat(found.above[rows] * shared)
        self._below = _flat(found.below[rows] * shared)
        self._counts = None if found.counts is None else _flat(found.counts[rows] * shared)

    def score(self, weights: np.ndarray) -> np.ndarray:
        """Return ``(draws, runs)``."""
        shape = (len(weights), *self._shape)
        counts = None if self._counts is None else (weights @ self._counts).reshape(shape)
        return combine((weights @ self._above).reshape(shape), (weights @ self._below).reshape(shape), counts)


def _flat(array: np.ndarray) -> np.ndarray:
    runs, images, parts = array.shape
    return np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(images, runs * parts)
