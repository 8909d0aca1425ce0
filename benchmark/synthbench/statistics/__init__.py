"""How much an arm differs from the baseline, how surely, and which ranks the data allow.

Everything here takes the `images` frame of a run (one row per run, test image and IoU threshold or class) and looks
at one cell of a study: one dataset, one amount of real data, one segmenter.

>>> from synthbench.statistics import paired_difference
>>> paired_difference(images, "real + pix2pix × 100")  # doctest: +SKIP
Difference(value=-0.021, low=-0.038, high=-0.004, ...)
"""

from synthbench.statistics.differences import Comparison, Difference, compare, holm, paired_difference, ranks
from synthbench.statistics.equivalent_images import Worth, worth
from synthbench.statistics.headroom import Headroom, Share, headroom
from synthbench.statistics.image_counts import METRICS, run_scores
from synthbench.statistics.noise import PRIOR, Noise, pilot
from synthbench.statistics.power import detectable
from synthbench.statistics.score_intervals import level

__all__ = [
    "METRICS",
    "PRIOR",
    "Comparison",
    "Difference",
    "Headroom",
    "Noise",
    "Share",
    "Worth",
    "compare",
    "detectable",
    "headroom",
    "holm",
    "level",
    "paired_difference",
    "pilot",
    "ranks",
    "run_scores",
    "worth",
]
