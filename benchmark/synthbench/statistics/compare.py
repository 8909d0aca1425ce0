"""Differences between arms, paired by seed and test image, with intervals; and the ranks that they allow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.errors import DataError, nearest
from synthbench.statistics.repeats import Spread, lend, measure
from synthbench.statistics.tallies import Tally, combine, tally

LEVEL = 0.95
DRAWS = 10_000
_BLOCK = 4_000_000
_TAG_IMAGES, _TAG_SEEDS, _TAG_BASELINE = 71, 72, 73


@dataclass(frozen=True)
class Difference:
    """Score of an arm minus score of the baseline.

    Attributes
    ----------
    value : float
        Mean over the pairs of runs, each fold counting alike; a fraction of 1, signed. NaN when no pair is there.
    low, high : float
        The 95 % interval. NaN when it can't be had: fewer than two test images.
    p : float
        Two-sided, of no difference; not corrected for several arms, see `holm`.
    seeds : int
        Distinct segmenter seeds among the pairs. With 1, the interval speaks of test images alone: training again could
        move the value out of it.
    images : int
        Test images that were resampled.
    pairs, possible : int
        Pairs of runs that are there, and that would be if no task had failed (as far as these rows can tell).
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    images: int
    pairs: int
    possible: int

    @property
    def coverage(self) -> float:
        """Share of the possible pairs that are there, 0 … 1."""
        return self.pairs / self.possible if self.possible else 0.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """All arms of a cell against one baseline, from the same resamples.

    Attributes
    ----------
    baseline : str
    differences : dict of str to Difference
        The baseline itself is not among them.
    draws : dict of str to ndarray
        ``(draws,)`` plausible differences of each arm with pairs, the baseline's being zero.
    """

    baseline: str
    differences: dict[str, Difference]
    draws: dict[str, np.ndarray]

    def ranks(self) -> pd.DataFrame:
        """Return ``arm``, ``rank``, ``low``, ``high``, best first.

        `rank` counts the arms with a higher value, ties sharing the better rank. `low` is 1 + the arms that are surely
        better, `high` the number of arms − those surely worse: the paired 95 % interval of the two arms' difference is
        on one side of zero. Arms that the data can't tell apart thus have overlapping ranges.
        """
        arms = list(self.draws)
        values = {a: 0.0 if a == self.baseline else self.differences[a].value for a in arms}
        rows = []
        for arm in arms:
            above = sum(_surely_above(self.draws[o], self.draws[arm]) for o in arms if o != arm)
            under = sum(_surely_above(self.draws[arm], self.draws[o]) for o in arms if o != arm)
            higher = sum(values[o] > values[arm] + 1e-12 for o in arms)
            rows.append((arm, 1 + higher, min(1 + above, 1 + higher), max(len(arms) - under, 1 + higher)))
        table = pd.DataFrame(rows, columns=["arm", "rank", "low", "high"])
        return table.sort_values("rank", kind="stable").reset_index(drop=True)


def paired_difference(
    images: pd.DataFrame,
    arm: str,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Compare one arm with the baseline; see `compare`, whose result this picks from.

    Raises
    ------
    DataError
        If the arm is not among the rows.
    """
    found = compare(images, baseline, metric, iou, aggregation, draws, seed).differences
    if arm not in found:
        raise DataError(f"arm {arm!r} has no scores to compare with {baseline!r}{nearest(arm, found)}")
    return found[arm]


def ranks(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the arms of one cell; see `Comparison.ranks`."""
    return compare(images, baseline, metric, iou, aggregation, draws, seed).ranks()


def compare(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare every arm of one cell with the baseline.

    Runs are paired by fold, generator seed (where the baseline has one) and segmenter seed, and both runs of a pair are
    scored on the test images they share. Each draw resamples the test images with replacement (within folds, where
    every image belongs to one), recomputes both scores from the resampled counts, and adds an error of repeated
    training from Student's t (`synthbench.statistics.repeats`).

    The interval covers: other test images of the same kind, and other seeds of the segmenter and, where they were
    varied, of the generator. It doesn't cover: another dataset; other training images, unless there are folds; and,
    with one seed, training again. It treats test images as independent: where they come from few videos or patients,
    it is too narrow. Chance that belongs to one seed and one image together is counted in both levels, so that
    otherwise it is a little wide rather than narrow.

    Parameters
    ----------
    images
        Rows of one dataset, fraction and segmenter, of the form that `synthbench.load_results` gives.
    baseline
        The arm to compare with.
    metric, iou, aggregation
        See `synthbench.statistics.tallies.tally`.
    draws
        Resamples.
    seed
        Of the resamples; an arm's draws don't depend on the order of the arms.
    """
    found = tally(images, metric, iou, aggregation)
    names = sorted(set(found.runs["arm"]), key=lambda a: (a != baseline, a))
    if baseline not in names:
        return Comparison(baseline, {}, {})
    matched = {arm: _pairs(found.runs, arm, baseline) for arm in names if arm != baseline}
    deviations: dict[str, np.ndarray] = {}
    values: dict[str, float] = {}
    spreads: dict[str, Spread] = {}
    units: dict[str, int] = {}
    weights = _Weights(images, found.images, draws, seed)
    for arm, pairs in matched.items():
        if pairs.empty:
            continue
        exact, drawn = _difference(found, pairs, weights)
        share = _shares(pairs["fold"])
        values[arm] = float(exact @ share)
        n = int((found.present[pairs["mine"]] & found.present[pairs["base"]]).any(axis=0).sum())
        units[arm] = n
        deviations[arm] = (drawn @ share - values[arm]) * np.sqrt(n / max(n - 1, 1))
        spreads[arm] = measure(pairs, exact, drawn.var(axis=0))
    spreads = lend(spreads, {arm: len(matched[arm]) for arm in spreads})
    base_noise = np.random.default_rng((seed, _TAG_BASELINE)).standard_normal(draws)
    differences, all_draws = {}, {baseline: np.zeros(draws)}
    for arm, pairs in matched.items():
        possible = _possible(found.runs, arm, baseline)
        if arm not in values:
            differences[arm] = Difference(np.nan, np.nan, np.nan, np.nan, 0, 0, 0, possible)
            continue
        total = values[arm] + deviations[arm] + _training_error(arm, spreads[arm], base_noise, seed)
        all_draws[arm] = total
        low, high, p = _summary(total) if units[arm] > 1 else (np.nan, np.nan, np.nan)
        counts = (int(pairs["seed"].nunique()), units[arm], len(pairs), possible)
        differences[arm] = Difference(values[arm], low, high, p, *counts)
    return Comparison(baseline, differences, all_draws)


def holm(p: Sequence[float]) -> np.ndarray:
    """Correct p-values for their number (Holm 1979); NaN stays NaN and isn't counted.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, float)
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


class _Weights:
    """How often each test image occurs in each resample, made block by block, the same blocks for every arm."""

    def __init__(self, images: pd.DataFrame, names: list[str], draws: int, seed: int) -> None:
        home = images.assign(image=images["image"].astype(str)).groupby("image")["fold"].agg(["nunique", "first"])
        home = home.loc[names]
        folds = home["first"].astype(str).to_numpy()
        self.strata = [np.flatnonzero(folds == f) for f in np.unique(folds)]
        if (home["nunique"] > 1).any():
            self.strata = [np.arange(len(names))]
        self.size, self.draws, self.seed = len(names), draws, seed

    def blocks(self) -> list[tuple[int, int]]:
        step = max(_BLOCK // self.size, 1)
        return [(start, min(start + step, self.draws)) for start in range(0, self.draws, step)]

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return ``(stop − start, images)`` float64."""
        rng = np.random.default_rng((self.seed, _TAG_IMAGES, start))
        out = np.empty((stop - start, self.size))
        for members in self.strata:
            n = len(members)
            picks = rng.integers(n, size=(stop - start, n)) + n * np.arange(stop - start)[:, None]
            out[:, members] = np.bincount(picks.ravel(), minlength=(stop - start) * n).reshape(-1, n)
        return out


def _pairs(runs: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
    """Match an arm's runs with the baseline's: columns of the run, ``mine`` and ``base`` (row numbers in `runs`).

    A baseline without the same generator seed lends its first run of that fold and seed.
    """
    numbered = runs.assign(row=np.arange(len(runs)))
    base = numbered[numbered["arm"] == baseline]
    exact = base.set_index(["fold", "generator_seed", "seed"])["row"].to_dict()
    first = base.groupby(["fold", "seed"])["row"].min().to_dict()
    mine = numbered[numbered["arm"] == arm]
    keys = zip(mine["fold"], mine["generator_seed"], mine["seed"], strict=True)
    rows = [exact.get(key, first.get((key[0], key[2]), -1)) for key in keys]
    matched = mine.rename(columns={"row": "mine"}).assign(base=rows)
    return matched[matched["base"] >= 0].reset_index(drop=True)


def _possible(runs: pd.DataFrame, arm: str, baseline: str) -> int:
    """Return how many pairs there would be, had every fold and seed that occurs been run for both arms."""
    both = runs[runs["arm"].isin([arm, baseline])]
    generators = max(runs.loc[runs["arm"] == arm, "generator_seed"].nunique(), 1)
    mine = runs[runs["arm"] == arm]
    if mine.groupby(["fold", "seed"])["generator_seed"].nunique().max() <= 1:
        generators = 1
    return len(both[["fold", "seed"]].drop_duplicates()) * generators


def _difference(found: Tally, pairs: pd.DataFrame, weights: _Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference of each pair on all its images, ``(pairs,)``, and on resampled ones, ``(draws, pairs)``."""
    mine, base = pairs["mine"].to_numpy(), pairs["base"].to_numpy()
    shared = (found.present[mine] & found.present[base])[:, :, None]
    sides = [_Side(found, rows, shared) for rows in (mine, base)]
    exact = sides[0].score(np.ones((1, len(found.images))))[0] - sides[1].score(np.ones((1, len(found.images))))[0]
    drawn = np.empty((weights.draws, len(pairs)))
    for start, stop in weights.blocks():
        block = weights.block(start, stop)
        drawn[start:stop] = sides[0].score(block) - sides[1].score(block)
    return exact, drawn


class _Side:
    """The runs on one side of the pairs, arranged for matrix products."""

    def __init__(self, found: Tally, rows: np.ndarray, shared: np.ndarray) -> None:
        self.shape = (len(rows), found.above.shape[2])
        self.above = self._flat(found.above[rows] * shared)
        self.below = self._flat(found.below[rows] * shared)
        self.counts = None if found.counts is None else self._flat(found.counts[rows] * shared)

    @staticmethod
    def _flat(array: np.ndarray) -> np.ndarray:
        runs, images, parts = array.shape
        return np.ascontiguousarray(array.transpose(1, 0, 2)).reshape(images, runs * parts)

    def score(self, weights: np.ndarray) -> np.ndarray:
        """Return ``(draws, runs)``."""
        shape = (len(weights), *self.shape)
        counts = None if self.counts is None else (weights @ self.counts).reshape(shape)
        return combine((weights @ self.above).reshape(shape), (weights @ self.below).reshape(shape), counts)


def _shares(folds: pd.Series) -> np.ndarray:
    """Return the weight of each pair in the mean: folds alike, pairs alike within a fold."""
    sizes = folds.map(folds.value_counts())
    return (1.0 / (sizes * folds.nunique())).to_numpy(float)


def _training_error(arm: str, spread: Spread, base_noise: np.ndarray, seed: int) -> np.ndarray:
    """Draw errors of repeated training, ``(draws,)``; half the variance is the baseline's, and common to all arms."""
    if not spread.freedom or not spread.error2:
        return np.zeros(len(base_noise))
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    normal = (base_noise + rng.standard_normal(len(base_noise))) / np.sqrt(2)
    chi = np.sqrt(rng.chisquare(spread.freedom, len(base_noise)) / spread.freedom)
    return np.sqrt(spread.error2) * normal / chi


def _summary(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return float(low), float(high), min(2 * (tail + 1) / (len(draws) + 1), 1.0)


def _surely_above(better: np.ndarray, worse: np.ndarray) -> bool:
    return bool(np.quantile(better - worse, (1 - LEVEL) / 2) > 1e-12)
