"""Noise of the difference between two arms, by source, and its estimation from existing results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.statistics._resampling import Resampled, resample_block
from synthbench.statistics.image_counts import ImageCounts
from synthbench.types import AnyArray

__all__ = ["BASELINE_SHARE", "PRIOR", "Noise", "estimate_noise"]

BASELINE_SHARE = 0.5
"""The baseline's share of the variance between segmenter seeds, common to the arm's runs of all generator seeds."""


@dataclass(frozen=True)
class Noise:
    """Noise of the difference of one pair of runs, as standard deviations in units of the score.

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
        """Whether no component reaches .0005: the results show no differences."""
        return max(self.image, self.training, self.generator, self.residual, self.fold) < _SHOWN


_SHOWN = 0.0005

PRIOR = Noise(image=0.12, training=0.012, source="assumed", generator=0.012)
"""Assumed noise of a pooled F-score at IoU 0.5, typical of U-Nets on fluorescence nuclei."""


def estimate_noise(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = 2_000,
) -> Noise | None:
    """Estimate the noise from existing results, as mean variances over the arms of a block.

    The components follow from the differences between pairs of runs: pairs with one generator seed differ by training
    of the segmenters, pairs with different generator seeds also by that of the generator, pairs of different folds by
    everything. Components that the results don't contain are assumed, and `source` says so: with one segmenter seed its
    noise is the prior's, with one generator seed the generator's noise equals that of the segmenters. The noise of
    folds can only be estimated with several folds; otherwise it is omitted.

    Arms whose scores equal the baseline's on every image are left out, unless all do.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.

    Returns
    -------
    Noise or None
        None without a pair of runs on at least two test images (or groups) of one fold. It `is_zero` where no arm
        differs from the baseline.

    Raises
    ------
    ConfigError
        If the baseline is not among the arms.
    """
    block = resample_block(images, baseline, metric, iou, aggregation, draws, seed=0)
    counts, by_fold = block.counts, block.by_fold
    differing = {arm: one for arm, one in block.arms.items() if one.exact.any() or one.drawn.any()}
    arms = [parts for one in (differing or block.arms).values() if (parts := _parts(one, counts))]
    if not arms:
        return None
    if not differing:
        return Noise(0.0, 0.0, _many_arms(len(arms)))
    parts = [part for arm in arms for part in arm]
    image2, residual2 = _of_images(parts)
    training2, generator2, assumptions = _of_training(parts, residual2)
    between = [_of_folds(arm, image2 if by_fold else 0.0, residual2) for arm in arms if len(arm) > 1]
    fold2 = 0.0
    if between:
        fold_variance, split = max(float(np.mean(between)), 0.0), [part for arm in arms if len(arm) > 1 for part in arm]
        if not any(part.repeated for part in parts):
            training2 = min(training2, fold_variance)
        left = max(fold_variance - float(np.mean([part.error2(training2, 0.0) for part in split])), 0.0)
        if not any((part.same_seed | part.neither).any() for part in parts):
            generator2 = min(generator2, left)
        fold2 = max(left - generator2 * float(np.mean([1 / part.generators for part in split])), 0.0)
    image, training, generator, residual, fold = np.sqrt([image2, training2, generator2, residual2, fold2]).tolist()
    return Noise(image, training, "; ".join([_many_arms(len(arms)), *assumptions]), generator, residual, fold)


def _many_arms(count: int) -> str:
    return f"{count} arm{'s' if count > 1 else ''}"


@dataclass(frozen=True, eq=False)
class _Part:
    """The pairs of runs of one arm in one fold.

    `differences` is ``(pairs,)``; `covariance` is ``(pairs, pairs)``, per image. The three masks, ``(pairs, pairs)``,
    mark the pairs of runs that share the generator seed only, the segmenter seed only, or neither.
    """

    images: int
    differences: AnyArray
    covariance: AnyArray
    same_generator: AnyArray
    same_seed: AnyArray
    neither: AnyArray
    generators: int
    seeds: int

    @property
    def repeated(self) -> bool:
        return len(self.differences) > 1

    def half_squared_difference(self, which: AnyArray) -> float:
        """Return half the mean squared difference between two pairs of runs of a kind."""
        gaps = np.square(self.differences[:, None] - self.differences[None, :]) / 2
        return float(gaps[which].mean())

    def error2(self, training2: float, generator2: float) -> float:
        """Return the variance of the mean over the fold's pairs, whose training varies by so much."""
        own, shared = (1 - BASELINE_SHARE) * training2, BASELINE_SHARE * training2
        return generator2 / self.generators + shared / self.seeds + own / len(self.differences)


def _parts(resampled: Resampled, counts: ImageCounts) -> list[_Part]:
    """Return the folds of an arm with at least two test images, or groups of them."""
    folds = []
    for _, rows in resampled.pairs.reset_index(drop=True).groupby("fold"):
        at = rows.index.to_numpy()
        scored = (counts.present[rows["run"]] & counts.present[rows["base"]]).any(axis=0)
        images = len(np.unique(counts.units[scored]))
        if images < 2:
            continue
        generator, seed = (
            rows[name].to_numpy()[:, None] == rows[name].to_numpy() for name in ("generator_seed", "seed")
        )
        covariance = np.atleast_2d(np.cov(resampled.drawn[:, at], rowvar=False)) * images * images / (images - 1)
        kinds = (generator & ~seed, seed & ~generator, ~generator & ~seed)
        seeds = (rows["generator_seed"].nunique(), rows["seed"].nunique())
        folds.append(_Part(images, resampled.exact[at], covariance, *kinds, *seeds))
    return folds


def _of_images(parts: Sequence[_Part]) -> tuple[float, float]:
    """Return the variances of one image, and of its interaction with one pair of runs."""
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


def _of_training(parts: Sequence[_Part], residual2: float) -> tuple[float, float, list[str]]:
    """Return the variances of training the segmenters and the generator, and what is assumed about them."""

    def half_squared_difference(kind: str) -> float | None:
        found = [(p, getattr(p, kind)) for p in parts if getattr(p, kind).any()]
        return float(np.mean([p.half_squared_difference(which) for p, which in found])) if found else None

    chance = residual2 * float(np.mean([1 / part.images for part in parts]))
    by_seed, by_generator, by_both = (
        half_squared_difference(kind) for kind in ("same_generator", "same_seed", "neither")
    )
    if by_seed is not None:
        training2 = max(by_seed - chance, 0.0)
        if by_both is not None:
            return training2, max(by_both - by_seed, 0.0), []
        return training2, training2, ["that of generator seeds is assumed"]
    assumption = "that of training is assumed"
    if by_generator is None:
        return PRIOR.training**2, PRIOR.generator**2, [assumption]
    left = max(by_generator - (1 - BASELINE_SHARE) * chance, 0.0)
    training2 = min(PRIOR.training**2, left / (1 - BASELINE_SHARE))
    return training2, left - (1 - BASELINE_SHARE) * training2, ["that of segmenter seeds is assumed"]


def _of_folds(parts: Sequence[_Part], image2: float, residual2: float) -> float:
    """Return the variance of an arm's fold means, without that of the images."""
    means = np.array([part.differences.mean() for part in parts])
    images = np.mean([image2 / part.images + part.error2(residual2 / part.images, 0.0) for part in parts])
    return float(means.var(ddof=1) - images)
