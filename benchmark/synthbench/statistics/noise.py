"""What blurs the difference between two arms, part by part, and how it is measured on results that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError, suggest
from synthbench.statistics.image_counts import ImageCounts, image_counts
from synthbench.statistics.resampling import Resampled, pair, resample

BASELINE_SHARE = 0.5
"""Of the variance between segmenter seeds: the baseline's run, which an arm's runs with other generator seeds share."""


@dataclass(frozen=True)
class Noise:
    """What blurs the difference of one pair of runs, as standard deviations in units of the score.

    Attributes
    ----------
    image : float
        Of one test image, or one group of them that belong together, whatever the training; over n it shrinks with √n.
    training : float
        Of training both segmenters again. Half of its square is the baseline's.
    source : str
        Where the numbers come from, and which are assumed; for people.
    generator : float
        Of training the generator again.
    single : float
        Of one test image (or group) in one pair of runs: what neither another pair shows on it, nor this one on others.
    fold : float
        Of other training images, which folds have.
    """

    image: float
    training: float
    source: str
    generator: float = 0.0
    residual: float = 0.0
    fold: float = 0.0

    @property
    def is_zero(self) -> bool:
        """Whether no part of it shows in three decimals: nothing was there to be measured."""
        return max(self.image, self.training, self.generator, self.residual, self.fold) < _SHOWN


_SHOWN = 0.0005

PRIOR = Noise(image=0.12, training=0.012, source="assumed", generator=0.012)
"""For a pooled F-score at IoU 0.5. Stated, not measured on the user's data: U-Nets on fluorescence nuclei."""


def estimate_noise(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = 2_000,
) -> Noise | None:
    """Measure the noise on results that are there: the mean variances over the arms of a block.

    What differs between two pairs of runs tells the parts apart: those of one generator seed differ by the segmenters'
    training, those of different segmenter seeds also by the generator's, those of different folds by all of it. What
    the results don't hold is assumed, and `source` says so: with one segmenter seed its noise is the prior's, with one
    generator seed the generator's noise is as large as the segmenters'. That folds differ shows in folds alone; without
    them it is left out.

    An arm whose scores equal the baseline's on every image tells nothing of noise, and is left out where others don't.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.

    Returns
    -------
    Noise or None
        None where there is no pair of runs on two or more test images (or groups) of one fold. It is `Noise.is_zero`
        where no arm differs from the baseline.

    Raises
    ------
    ConfigError
        If the baseline is not among the arms.
    """
    found = image_counts(images, metric, iou, aggregation)
    names = sorted(set(found.runs["arm"]))
    if baseline not in names:
        raise ConfigError(f"baseline {baseline!r} is not among the arms{suggest(str(baseline), names)}")
    matched = {arm: pair(found.runs, arm, baseline) for arm in names if arm != baseline}
    resampled, by_fold = resample(images, found, matched, draws, seed=0)
    moved = {arm: own for arm, own in resampled.items() if own.exact.any() or own.drawn.any()}
    arms = [parts for own in (moved or resampled).values() if (parts := _parts(own, found))]
    if not arms:
        return None
    if not moved:
        return Noise(0.0, 0.0, _many_arms(len(arms)))
    parts = [part for arm in arms for part in arm]
    image2, single2 = _of_images(parts)
    training2, generator2, words = _of_training(parts, single2)
    between = [_of_folds(arm, image2 if by_fold else 0.0, single2) for arm in arms if len(arm) > 1]
    fold2 = 0.0
    if between:
        fold_variance, split = max(float(np.mean(between)), 0.0), [part for arm in arms if len(arm) > 1 for part in arm]
        if not any(part.repeated for part in parts):
            training2 = min(training2, fold_variance)
        left = max(fold_variance - float(np.mean([part.error2(training2, 0.0) for part in split])), 0.0)
        if not any((part.same_seed | part.neither).any() for part in parts):
            generator2 = min(generator2, left)
        fold2 = max(left - generator2 * float(np.mean([1 / part.generators for part in split])), 0.0)
    image, training, generator, residual, fold = np.sqrt([image2, training2, generator2, single2, fold2]).tolist()
    return Noise(image, training, "; ".join([_many_arms(len(arms)), *words]), generator, residual, fold)


def _many_arms(count: int) -> str:
    return f"{count} arm{'s' if count > 1 else ''}"


@dataclass(frozen=True, eq=False)
class _Part:
    """The pairs of runs of one arm in one fold.

    `differences` is ``(pairs,)`` and `covariance` ``(pairs, pairs)``, of one image. The three masks say of every two
    pairs of runs what they have in common: the generator seed, the segmenter seed, or neither.
    """

    images: int
    differences: np.ndarray
    covariance: np.ndarray
    same_generator: np.ndarray
    same_seed: np.ndarray
    neither: np.ndarray
    generators: int
    seeds: int

    @property
    def repeated(self) -> bool:
        return len(self.differences) > 1

    def half_squared_difference(self, which: np.ndarray) -> float:
        """Return half the mean squared difference between two pairs of runs of a kind."""
        gaps = np.square(self.differences[:, None] - self.differences[None, :]) / 2
        return float(gaps[which].mean())

    def error2(self, training2: float, generator2: float) -> float:
        """Return the variance of the mean over the fold's pairs, whose training varies by so much."""
        own, shared = (1 - BASELINE_SHARE) * training2, BASELINE_SHARE * training2
        return generator2 / self.generators + shared / self.seeds + own / len(self.differences)


def _parts(own: Resampled, found: ImageCounts) -> list[_Part]:
    """Return the folds of an arm that have two test images, or groups of them, or more."""
    out = []
    for _, rows in own.pairs.reset_index(drop=True).groupby("fold"):
        at = rows.index.to_numpy()
        seen = (found.present[rows["run"]] & found.present[rows["base"]]).any(axis=0)
        images = len(np.unique(found.units[seen]))
        if images < 2:
            continue
        generator, seed = (
            rows[name].to_numpy()[:, None] == rows[name].to_numpy() for name in ("generator_seed", "seed")
        )
        covariance = np.atleast_2d(np.cov(own.drawn[:, at], rowvar=False)) * images * images / (images - 1)
        kinds = (generator & ~seed, seed & ~generator, ~generator & ~seed)
        counts = (rows["generator_seed"].nunique(), rows["seed"].nunique())
        out.append(_Part(images, own.exact[at], covariance, *kinds, *counts))
    return out


def _of_images(parts: Sequence[_Part]) -> tuple[float, float]:
    """Return the variance of one image, and of one image in one pair of runs."""
    alone = np.mean([np.diag(part.covariance).mean() for part in parts])
    found = [(p.covariance, p.same_generator | p.neither) for p in parts if (p.same_generator | p.neither).any()]
    if found:
        shared = np.mean([covariance[which].mean() for covariance, which in found])
        residual = np.mean([np.diag(covariance).mean() - covariance[which].mean() for covariance, which in found])
        return max(float(shared), 0.0), max(float(residual), 0.0)
    found = [(p.covariance, p.same_seed) for p in parts if p.same_seed.any()]
    if found:
        own = np.mean([np.diag(covariance).mean() - covariance[which].mean() for covariance, which in found])
        residual = max(float(own), 0.0) / (1 - BASELINE_SHARE)
        return max(float(alone) - residual, 0.0), residual
    return float(alone), 0.0


def _of_training(parts: Sequence[_Part], single2: float) -> tuple[float, float, list[str]]:
    """Return the variances of training the segmenters and the generator again, and what is assumed of them."""

    def half_squared_difference(kind: str) -> float | None:
        found = [(p, getattr(p, kind)) for p in parts if getattr(p, kind).any()]
        return float(np.mean([p.half_squared_difference(which) for p, which in found])) if found else None

    chance = single2 * float(np.mean([1 / part.images for part in parts]))
    by_seed, by_generator, by_both = (
        half_squared_difference(kind) for kind in ("same_generator", "same_seed", "neither")
    )
    if by_seed is not None:
        training2 = max(by_seed - chance, 0.0)
        if by_both is not None:
            return training2, max(by_both - by_seed, 0.0), []
        return training2, training2, ["that of the generator's seeds is assumed"]
    word = "that of training again is assumed"
    if by_generator is None:
        return PRIOR.training**2, PRIOR.generator**2, [word]
    left = max(by_generator - (1 - BASELINE_SHARE) * chance, 0.0)
    training2 = min(PRIOR.training**2, left / (1 - BASELINE_SHARE))
    return training2, left - (1 - BASELINE_SHARE) * training2, ["that of the segmenter's seeds is assumed"]


def _of_folds(parts: Sequence[_Part], image2: float, single2: float) -> float:
    """Return the variance of an arm's fold means, without what images do to it."""
    means = np.array([part.differences.mean() for part in parts])
    images = np.mean([image2 / part.images + part.error2(single2 / part.images, 0.0) for part in parts])
    return float(means.var(ddof=1) - images)
