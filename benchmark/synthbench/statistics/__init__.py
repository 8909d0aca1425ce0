"""Differences between arms with intervals, ranks, equivalent real images, headroom and power.

Functions take the `images` frame of a run (one row per run, test image and IoU threshold or class), restricted to one
comparison block of a study: one dataset, one amount of real data, one segmenter.

>>> from synthbench.statistics import paired_difference
>>> paired_difference(images, "real + pix2pix × 100")  # doctest: +SKIP
Difference(value=-0.021, low=-0.038, high=-0.004, ...)
"""

from synthbench.statistics.differences import (
    Comparison,
    Difference,
    compare,
    holm,
    interval_and_p,
    paired_difference,
    ranks,
)
from synthbench.statistics.equivalent_images import EquivalentRealImages, equivalent_real_images
from synthbench.statistics.expected_trainings import ExpectedTrainings, expected_trainings
from synthbench.statistics.headroom import Headroom, Share, headroom, sensitivity
from synthbench.statistics.headroom import share as share_of
from synthbench.statistics.image_counts import METRICS, run_scores
from synthbench.statistics.noise import PRIOR, Noise, estimate_noise
from synthbench.statistics.power import minimum_detectable_effect
from synthbench.statistics.score_intervals import score_interval
from synthbench.statistics.sequential import ArmDecision, Decisions, decide_arms
from synthbench.statistics.several_blocks import compare_over_blocks

__all__ = [
    "METRICS",
    "PRIOR",
    "ArmDecision",
    "Comparison",
    "Decisions",
    "Difference",
    "ExpectedTrainings",
    "Headroom",
    "Noise",
    "Share",
    "EquivalentRealImages",
    "compare",
    "compare_over_blocks",
    "decide_arms",
    "expected_trainings",
    "minimum_detectable_effect",
    "headroom",
    "sensitivity",
    "share_of",
    "holm",
    "interval_and_p",
    "score_interval",
    "paired_difference",
    "estimate_noise",
    "ranks",
    "run_scores",
    "equivalent_real_images",
]
