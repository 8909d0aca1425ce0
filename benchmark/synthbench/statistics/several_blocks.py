"""Mean differences of arms over several datasets and segmenters, with intervals and ranks.

The mean over the segmenters and amounts of one dataset is formed pair by pair, on common resamples of its test images.
What segmenters share, such as test images and trained generators, is thus shared in the mean as well; its variance
between trainings is that of the means by seed. Datasets are independent of each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from synthbench.errors import ConfigError
from synthbench.statistics._resampling import Resampled, ResampledBlock, possible_pairs, resample_block
from synthbench.statistics._standard_errors import draw_errors, standard_errors, trained_once
from synthbench.statistics.differences import DRAWS, TAG_BASELINE, Comparison, Difference, interval_and_p
from synthbench.types import AnyArray

__all__ = ["compare_over_blocks"]

_PAIR = ["fold", "generator_seed", "seed"]
_MISSING = Difference(np.nan, np.nan, np.nan, np.nan, 0, 0, 0, 0, 0, 0)


def compare_over_blocks(
    datasets: Mapping[str, Sequence[pd.DataFrame]],
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = DRAWS,
    seed: int = 0,
    *,
    unpooled: Collection[str] = (),
) -> Comparison:
    """Compare arms with the baseline on average over comparison blocks.

    Each dataset counts equally, and each block within a dataset. With one block the result is that of
    `synthbench.statistics.compare`. The interval covers other test images of the same kinds and other seeds; it doesn't
    cover other datasets or segmenters than these.

    Parameters
    ----------
    datasets
        By dataset, the rows of its blocks (one amount of real data and segmenter each), in which the same arm has the
        same name.
    baseline, metric, iou, aggregation, draws, seed
        See `synthbench.statistics.compare`.
    unpooled
        Arms whose trainings aren't assumed to vary like those of the others.

    Returns
    -------
    Comparison
        An arm that lacks a block has no value: a mean over other blocks couldn't be compared. Counts of images, units
        and pairs are sums over datasets.

    Raises
    ------
    ConfigError
        If there is no dataset, or the baseline is missing in a block.
    DataError
        As `synthbench.statistics.compare` does.
    """
    if not datasets or not all(datasets.values()):
        raise ConfigError("no comparison block to take the mean over")
    found = [
        _of_dataset(blocks, baseline, metric, iou, aggregation, draws, seed + number, unpooled)
        for number, blocks in enumerate(datasets.values())
    ]
    arms = sorted({arm for comparison in found for arm in comparison.differences})
    differences, all_draws = {}, {baseline: np.zeros(draws)}
    for arm in arms:
        if not all(arm in comparison.draws for comparison in found):
            differences[arm] = _MISSING
            continue
        all_draws[arm] = np.mean([comparison.draws[arm] for comparison in found], axis=0)
        differences[arm] = _mean([comparison.differences[arm] for comparison in found], all_draws[arm])
    return Comparison(baseline, differences, all_draws)


def _mean(parts: Sequence[Difference], draws: AnyArray) -> Difference:
    low, high, p = interval_and_p(draws)
    return Difference(
        value=float(np.mean([part.value for part in parts])),
        low=low,
        high=high,
        p=np.nan if any(np.isnan(part.p) for part in parts) else p,
        seeds=min(part.seeds for part in parts),
        folds=min(part.folds for part in parts),
        images=sum(part.images for part in parts),
        units=sum(part.units for part in parts),
        pairs=sum(part.pairs for part in parts),
        possible=sum(part.possible for part in parts),
        own_variance=any(part.own_variance for part in parts),
    )


def _of_dataset(
    frames: Sequence[pd.DataFrame],
    baseline: str,
    metric: str,
    iou: float | str,
    aggregation: str,
    draws: int,
    seed: int,
    unpooled: Collection[str],
) -> Comparison:
    """Compare arms on average over the blocks of one dataset, all on the same resamples of its test images."""
    blocks = [resample_block(frame, baseline, metric, iou, aggregation, draws, seed) for frame in frames]
    arms = {arm: _stacked([block.arms.get(arm) for block in blocks]) for arm in sorted(_names(blocks))}
    known = {arm: resampled for arm, resampled in arms.items() if resampled is not None}
    errors = standard_errors(known, all(block.by_fold for block in blocks), unpooled)
    baseline_noise = np.random.default_rng((seed, TAG_BASELINE)).standard_normal(draws)
    differences, all_draws = dict.fromkeys(arms, _MISSING), {baseline: np.zeros(draws)}
    for arm, resampled in known.items():
        parts = [block.arms[arm] for block in blocks]
        value = float(np.mean([part.exact @ part.weights for part in parts]))
        all_draws[arm] = value + draw_errors(arm, resampled, errors[arm], baseline_noise, seed)
        low, high, p = interval_and_p(all_draws[arm])
        differences[arm] = Difference(
            value=value,
            low=low,
            high=high,
            p=np.nan if trained_once(resampled.pairs) else p,
            seeds=int(resampled.pairs["seed"].nunique()),
            folds=int(resampled.pairs["fold"].nunique()),
            images=max(part.images for part in parts),
            units=max(part.units for part in parts),
            pairs=sum(len(part.pairs) for part in parts),
            possible=sum(possible_pairs(block.counts.runs, arm, baseline) for block in blocks),
            own_variance=errors[arm].own_variance,
        )
    return Comparison(baseline, differences, all_draws)


def _names(blocks: Sequence[ResampledBlock]) -> set[str]:
    return {arm for block in blocks for arm in block.others}


def _stacked(parts: Sequence[Resampled | None]) -> Resampled | None:
    """Return the mean over blocks, pair by pair, of the pairs that all blocks have; None where one lacks the arm."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    first = known[0]
    if len(known) == 1:
        return first
    indices = [pd.MultiIndex.from_frame(part.pairs[_PAIR]) for part in known]
    common = indices[0]
    for index in indices[1:]:
        common = common[common.isin(index)]
    if not len(common):
        return None
    places = [index.get_indexer(common) for index in indices]
    return Resampled(
        first.pairs.iloc[places[0]].reset_index(drop=True),
        np.mean([part.exact[own] for part, own in zip(known, places, strict=True)], axis=0),
        np.mean([part.drawn[:, own] for part, own in zip(known, places, strict=True)], axis=0),
        max(part.images for part in known),
        max(part.units for part in known),
        max(part.inflation for part in known),
        min(part.dof for part in known),
    )
