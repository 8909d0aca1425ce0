"""Differences between arms, paired by seed and test image, with intervals; and the ranks that they allow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synthbench.errors import DataError, nearest
from synthbench.statistics.repeats import Spread, image_variance, joint_freedom, lend, measure
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
    image_error, training_error : float
        The two parts of the standard error: other test images, and training again. The second is 0 where nothing was
        repeated.
    freedom : float
        Degrees of freedom behind `training_error`.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int
    images: int
    pairs: int
    possible: int
    image_error: float = 0.0
    training_error: float = 0.0
    freedom: float = 0.0

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
    training; how well both are known, with few seeds, makes the tails those of Student's t
    (`synthbench.statistics.repeats`).

    The interval covers: other test images of the same kind, and other seeds of the segmenter and, where they were
    varied, of the generator. It doesn't cover: another dataset; other training images, unless there are folds; and,
    with one seed, training again. It treats test images as independent: where they come from few videos or patients,
    it is too narrow.

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
    sides = {arm: _Sides(found, pairs) for arm, pairs in matched.items() if len(pairs)}
    weights = _Weights(images, found.images, draws, seed)
    drawn = {arm: np.empty((draws, len(matched[arm]))) for arm in sides}
    for start, stop, block in weights.blocks():
        for arm, side in sides.items():
            drawn[arm][start:stop] = side.difference(block)
    deviations: dict[str, np.ndarray] = {}
    values: dict[str, float] = {}
    spreads: dict[str, Spread] = {}
    image2: dict[str, float] = {}
    units: dict[str, int] = {}
    for arm, side in sides.items():
        exact = side.difference(np.ones((1, len(found.images))))[0]
        share = _shares(matched[arm]["fold"])
        values[arm] = float(exact @ share)
        n = units[arm] = side.units
        deviations[arm] = (drawn[arm] @ share - values[arm]) * np.sqrt(n / max(n - 1, 1))
        spreads[arm] = measure(matched[arm], exact, drawn[arm].var(axis=0))
        total2 = float(deviations[arm].var())
        alone = image_variance(drawn[arm], matched[arm]["fold"]) * n / max(n - 1, 1)
        image2[arm] = min(alone, total2) if spreads[arm].with_residual else total2
        deviations[arm] *= np.sqrt(image2[arm] / total2) if total2 else 1.0
    spreads = lend(spreads, {arm: len(matched[arm]) for arm in spreads})
    base_noise = np.random.default_rng((seed, _TAG_BASELINE)).standard_normal(draws)
    differences, all_draws = {}, {baseline: np.zeros(draws)}
    for arm, pairs in matched.items():
        possible = _possible(found.runs, arm, baseline)
        if arm not in values:
            differences[arm] = Difference(np.nan, np.nan, np.nan, np.nan, 0, 0, 0, possible)
            continue
        blur = _errors(arm, deviations[arm], image2[arm], units[arm], spreads[arm], base_noise, seed)
        total = values[arm] + blur
        all_draws[arm] = total
        low, high, p = _summary(total) if units[arm] > 1 else (np.nan, np.nan, np.nan)
        counts = (int(pairs["seed"].nunique()), units[arm], len(pairs), possible)
        errors = (float(np.sqrt(image2[arm])), float(np.sqrt(spreads[arm].error2)), spreads[arm].freedom)
        differences[arm] = Difference(values[arm], low, high, p, *counts, *errors)
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
        homes = images[["image", "fold"]].drop_duplicates()
        home = homes.groupby(homes["image"].astype(str))["fold"].agg(["nunique", "first"]).loc[names]
        folds = home["first"].astype(str).to_numpy()
        self.strata = [np.flatnonzero(folds == f) for f in np.unique(folds)]
        if (home["nunique"] > 1).any():
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


def _pairs(runs: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
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


def _possible(runs: pd.DataFrame, arm: str, baseline: str) -> int:
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


class _Sides:
    """The two runs of each pair, arranged for matrix products, on the images that both have."""

    def __init__(self, found: Tally, pairs: pd.DataFrame) -> None:
        mine, base = pairs["mine"].to_numpy(), pairs["base"].to_numpy()
        shared = found.present[mine] & found.present[base]
        self.units = int(shared.any(axis=0).sum())
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


def _shares(folds: pd.Series) -> np.ndarray:
    """Return the weight of each pair in the mean: folds alike, pairs alike within a fold."""
    sizes = folds.map(folds.value_counts())
    return (1.0 / (sizes * folds.nunique())).to_numpy(float)


def _errors(
    arm: str, deviations: np.ndarray, image2: float, images: int, spread: Spread, base_noise: np.ndarray, seed: int
) -> np.ndarray:
    """Draw errors of a difference, ``(draws,)``: of other images, and of training again.

    Half the variance of training is the baseline's, and common to all arms.
    """
    if not spread.freedom or not spread.error2:
        return deviations
    rng = np.random.default_rng((seed, _TAG_SEEDS, zlib.crc32(arm.encode())))
    training = np.sqrt(spread.error2) * (base_noise + rng.standard_normal(len(base_noise))) / np.sqrt(2)
    freedom = joint_freedom(image2, images, spread)
    errors: np.ndarray = (deviations + training) / np.sqrt(rng.chisquare(freedom, len(base_noise)) / freedom)
    return errors


def _summary(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return float(low), float(high), min(2 * (tail + 1) / (len(draws) + 1), 1.0)


def _surely_above(better: np.ndarray, worse: np.ndarray) -> bool:
    return bool(np.quantile(better - worse, (1 - LEVEL) / 2) > 1e-12)
