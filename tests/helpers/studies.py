"""Studies whose truth is known, in wells and with trainings that vary as is wanted, and how they are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from synthbench.statistics import compare, holm

BASE = 0.7
OBJECTS = 40


@dataclass(frozen=True)
class Truth:
    """What a study is drawn from; spreads are standard deviations of the F-score.

    Attributes
    ----------
    effects : sequence of float
        Of the arms beside `real`.
    seeds, folds : int
    wells : sequence of int
        Images of each well, in each fold.
    well_spread, image_spread : float
        Of an arm on a well, and on an image; the baseline has none.
    training : float
        Of one training.
    outliers : mapping of int to float
        How many times as much the training of some arms varies; 0 is the baseline.
    fold_spread : float
        Of an arm in a fold.
    joined : bool
        Whether the split keeps wells together.
    objects : int
        In an image.
    """

    effects: Sequence[float] = (0.0,)
    seeds: int = 3
    folds: int = 1
    wells: Sequence[int] = (1,) * 50
    well_spread: float = 0.0
    image_spread: float = 0.03
    training: float = 0.006
    outliers: Mapping[int, float] = field(default_factory=dict)
    fold_spread: float = 0.0
    joined: bool = True
    objects: int = OBJECTS

    @property
    def error(self) -> float:
        """The true standard error of an arm that varies like the others, where wells are alike and folds too."""
        images, wells = sum(self.wells), len(self.wells)
        found = 2 * BASE * (1 - BASE) / self.objects
        per_image = self.image_spread**2 + found / self.seeds
        return float(np.sqrt(self.well_spread**2 / wells + per_image / images + 2 * self.training**2 / self.seeds))


def study(truth: Truth, number: int) -> pd.DataFrame:
    """Return the `images` frame of one cell."""
    rng = np.random.default_rng((11, number))
    count = sum(truth.wells)
    well = np.repeat(np.arange(len(truth.wells)), truth.wells)
    parts = []
    for fold in range(truth.folds):
        hard = rng.normal(0, 0.05, count)
        for arm, effect in enumerate((0.0, *truth.effects)):
            of_arm = effect + rng.normal(0, truth.fold_spread)
            of_arm = of_arm + rng.normal(0, truth.well_spread, len(truth.wells))[well]
            of_arm = of_arm + rng.normal(0, truth.image_spread, count)
            for seed in range(truth.seeds):
                trained = rng.normal(0, truth.training * truth.outliers.get(arm, 1.0))
                share = BASE + hard + trained + (of_arm if arm else 0.0)
                parts.append((fold, arm, seed, rng.binomial(truth.objects, np.clip(share, 0.02, 0.98))))
    size = len(parts)
    fold, arm, seed = (np.repeat([part[i] for part in parts], count) for i in range(3))
    tp = np.concatenate([part[3] for part in parts])
    frame = pd.DataFrame({"fold": fold, "seed": seed, "iou": 0.5, "tp": tp})
    names = np.array(["real", *(f"real + g{i} × 1" for i in range(len(truth.effects)))])
    frame = frame.assign(arm=names[arm], generator_seed=np.where(arm > 0, 0.0, np.nan))
    frame["image"] = frame["fold"].astype(str) + "-" + pd.Series(np.tile(np.arange(count), size)).astype(str)
    if truth.joined:
        frame["unit"] = frame["fold"].astype(str) + "-" + pd.Series(np.tile(well, size)).astype(str)
    return frame.assign(fp=truth.objects - tp, fn=truth.objects - tp)


@dataclass(frozen=True)
class Judged:
    """Shares over studies.

    Attributes
    ----------
    held : float
        Of the intervals that hold the truth.
    found, found_holm : float
        Of the studies that call the first arm different, by itself and after Holm's correction.
    alarms : float
        Of the studies that call some arm without effect different, after Holm's correction.
    width : float
        Mean half width of the first arm's interval.
    """

    held: float
    found: float
    found_holm: float
    alarms: float
    width: float


def judge(truth: Truth, studies: int, first: int = 0, draws: int = 1000) -> Judged:
    """Judge studies as a leaderboard does."""
    held, found, corrected, alarms, widths = [], [], [], [], []
    null = np.array(truth.effects) == 0
    for number in range(first, first + studies):
        differences = list(compare(study(truth, number), draws=draws, seed=number).differences.values())
        p = np.array([d.p for d in differences])
        adjusted = holm(p)
        held += [d.low <= effect <= d.high for d, effect in zip(differences, truth.effects, strict=True)]
        found.append(p[0] < 0.05)
        corrected.append(adjusted[0] < 0.05)
        alarms.append(bool((adjusted[null] < 0.05).any()))
        widths.append((differences[0].high - differences[0].low) / 2)
    means = (float(np.mean(values)) for values in (held, found, corrected, alarms, widths))
    return Judged(*means)
