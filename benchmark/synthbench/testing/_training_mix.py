"""Checks of how segmenters use the training mix: both its parts, and their shares, are learned from, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthbench.plugin.api import Instances, Segmenter, TrainingMix
from synthbench.testing._data import inverted
from synthbench.testing._harness import SEED
from synthbench.testing._learning import changed
from synthbench.testing._segmenter_harness import HALF, SegmenterHarness, blank
from synthbench.testing._shared_checks import check_another_seed
from synthbench.testing.check_results import Skipped, require

__all__ = [
    "QUARTERS",
    "another_seed_another_fit",
    "mix_is_learned_from",
    "synthetic_ratio_is_kept",
    "unknown_is_no_background",
    "validation_is_not_trained_on",
]

QUARTERS = (0.25, 0.75)


def another_seed_another_fit(harness: SegmenterHarness) -> None:
    """A fit with another seed learns something else."""
    harness.require_training()
    other = harness.try_fit(harness.half_mix, f"{HALF}, with another seed", SEED + 1)
    check_another_seed(harness, harness.half, other)


def mix_is_learned_from(harness: SegmenterHarness) -> None:
    """A fit learns from the real and from the synthetic samples of the mix: with others, it predicts otherwise."""
    mix, others = harness.half_mix, inverted(harness.deep_pictures(3))
    for what, other in (
        ("real samples", TrainingMix(others, mix.synthetic, mix.synthetic_ratio)),
        ("synthetic samples", TrainingMix(mix.real, others, mix.synthetic_ratio)),
    ):
        found = harness.try_fit(other, f"{HALF}, with other {what}")
        _demand_another(
            harness, harness.half, found, (), f"a fit on other {what}", "train on the mix, in the share it gives"
        )
    alone = harness.try_fit(TrainingMix(mix.real), "the real ones of 16-bit images")
    _demand_another(
        harness, found, alone, (0.0, mix.synthetic_ratio), "a fit without the synthetic samples", "train on both"
    )


def synthetic_ratio_is_kept(harness: SegmenterHarness) -> None:
    """A fit uses synthetic samples in the ratio that the mix gives: with another ratio, it predicts otherwise."""
    real, synthetic = harness.deep_pictures(1), inverted(harness.deep_pictures(2))
    few, many = (
        harness.try_fit(TrainingMix(real, synthetic, share), f"16-bit images, {share:.0%} of them synthetic")
        for share in QUARTERS
    )
    _demand_another(
        harness,
        few,
        many,
        QUARTERS,
        "a fit with three times the share of synthetic samples",
        "keep mix.synthetic_ratio",
    )


def validation_is_not_trained_on(harness: SegmenterHarness) -> None:
    """Not all that is learned from the mix depends on the validation samples: they choose thresholds, and no more."""
    if not harness.trains:
        raise Skipped("it doesn't train, and tuning on validation samples can't be distinguished from training")
    mix = harness.half_mix
    expected = harness.numbers(harness.half)
    other_mix = TrainingMix(inverted(mix.real), inverted(harness.deep_pictures(2)), mix.synthetic_ratio)
    of_mix = changed(expected, harness.numbers(harness.try_fit(other_mix, f"other {HALF}")))
    validation = inverted(harness.deep_pictures(6, 2))
    found = harness.try_fit(mix, f"{HALF}, with other validation samples", validation=validation)
    of_validation = changed(expected, harness.numbers(found))
    require(
        not of_mix or of_mix - of_validation,
        "every number that it learns from the mix changes with the validation samples too: learn from the mix alone",
    )


def unknown_is_no_background(harness: SegmenterHarness) -> None:
    """Where it supports ignore regions, pixels of unknown label are not taken for background."""
    for what, *pair in harness.sets_with_unknown_pixels():
        unknown, background = (harness.try_fit(TrainingMix(train), what, validation=train) for train in pair)
        harness.predict(unknown, harness.probe, pair[0], f"an unseen image, after fit on {what}")
        require(
            changed(harness.numbers(unknown), harness.numbers(background)),
            f"a fit on {what}, learns what it learns where these pixels are background: leave out Sample.ignore",
        )


def _demand_another(
    harness: SegmenterHarness, one: Segmenter[Any], other: Segmenter[Any], given: tuple[float, ...], what: str, way: str
) -> None:
    """Raise `CheckFailure` unless two segmenters are different ones.

    That shows in their predictions; and in the numbers they save, where a short training may not show in predictions
    yet, because nothing is found, or because there are no scores.
    """
    found, again = harness.says_of_deep(one), harness.says_of_deep(other)
    if any(_differ(a, b) for a, b in zip(found, again, strict=True)):
        return
    silent = all(blank(each) or each.scores is None for each in found)
    require(harness.trains and silent, f"{what} predicts the same: {way}")
    require(changed(harness.numbers(one), harness.numbers(other), given), f"{what} saves the same numbers: {way}")


def _differ(one: Instances, other: Instances) -> bool:
    if not np.array_equal(one.labels, other.labels):
        return True
    return one.scores is not None and other.scores is not None and not np.array_equal(one.scores, other.scores)
