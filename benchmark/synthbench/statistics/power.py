"""What a study can see: the smallest true difference that its design detects as a rule, before it is run.

Two things blur a difference between arms: which test images there are, and that training again gives another network.
Both are taken from a pilot (earlier results of the same data and segmenter), or from a stated prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synthbench.statistics.differences import LEVEL, compare
from synthbench.statistics.repeats import Spread, joint_freedom, prior_freedom

POWER = 0.8
_NODES = 200


@dataclass(frozen=True)
class Noise:
    """What blurs the difference of one pair of runs.

    Attributes
    ----------
    image : float
        Standard deviation that one test image adds; over n images it shrinks with √n.
    training : float
        Standard deviation that training again adds to the difference of one pair.
    source : str
        Where the two come from, for people.
    """

    image: float
    training: float
    source: str


PRIOR = Noise(image=0.12, training=0.012, source="assumed")
"""For a pooled F-score at IoU 0.5. Stated, not measured on the user's data: U-Nets on fluorescence nuclei."""


def detectable(noise: Noise, images: int, pairs: int, arms: int, power: float = POWER) -> float:
    """Return the smallest true difference that is found significant with probability `power`.

    The test is the leaderboard's own (`synthbench.statistics.compare`): two-sided at 5 %, over test images and, with
    two pairs or more, over training again, whose spread the study will have to estimate from its pairs and arms. It is
    corrected for the number of arms by Bonferroni, which is Holm's rule for the first arm to be found: where several
    arms differ, the study sees a little more than is said here.

    With one pair nothing is known of training again, and the answer is of test images alone.

    Parameters
    ----------
    noise
        Of one pair and one image.
    images
        Test images.
    pairs
        Pairs of runs per arm: seeds of the segmenter, of the generator, folds.
    arms
        Arms that are compared with the baseline.
    power
        Above 0.05, below 1.

    Returns
    -------
    float
        In units of the score; NaN for fewer than two test images, of which there is no interval.

    Raises
    ------
    ValueError
        If a number can't be used; the message names it.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    for name, value in (("images", images), ("pairs", pairs), ("arms", arms)):
        if value < 1:
            raise ValueError(f"{name}: {value}; give 1 or more")
    if not 1 - LEVEL < power < 1:
        raise ValueError(f"power: {power}; give a share above {1 - LEVEL:.2f} and below 1")
    if not (noise.image >= 0 and noise.training >= 0):
        raise ValueError(f"noise: {noise.image} and {noise.training}; give standard deviations, 0 or above")
    if images < 2:
        return float("nan")
    image = noise.image / np.sqrt(images)
    training = noise.training / np.sqrt(pairs) if pairs > 1 else 0.0
    error = float(np.hypot(image, training))
    if error == 0:
        return 0.0
    limits = _limits(image, training, images, _freedom(pairs, arms), (1 - LEVEL) / (2 * arms))

    def lacking(difference: float) -> float:
        return float(np.mean(ndtr((difference - limits) / error) + ndtr((-difference - limits) / error))) - power

    return float(brentq(lacking, 0.0, float(limits.max()) + 4 * error))


def _freedom(pairs: int, arms: int) -> float:
    """Return the degrees of freedom of the spread over pairs, with what the other arms lend."""
    own = float(max(pairs - 1, 1))
    return own + prior_freedom(np.full(arms - 1, own)) if arms > 1 else own


def _limits(image: float, training: float, images: int, freedom: float, tail: float) -> np.ndarray:
    """Return the differences from which on the test is significant, at equally likely estimates of the spread."""
    from scipy.special import ndtri
    from scipy.stats import chi2, t

    if training == 0:
        return np.array([-ndtri(tail) * image])
    middles = (np.arange(_NODES) + 0.5) / _NODES
    errors2 = training**2 * chi2.ppf(middles, freedom) / freedom
    joint = np.array([joint_freedom(image**2, images, Spread(float(e), freedom)) for e in errors2])
    return np.asarray(np.sqrt(image**2 + errors2) * t.isf(tail, joint))


def pilot(
    images: pd.DataFrame,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    draws: int = 2_000,
) -> Noise | None:
    """Measure the noise on results that are there: the mean over the arms of a cell.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.

    Returns
    -------
    Noise or None
        None where there is no pair of runs on two or more test images. Where nothing was repeated, `training` is the
        prior's, and `source` says so.
    """
    found = compare(images, baseline, metric, iou, aggregation, draws).differences.values()
    known = [d for d in found if d.images > 1]
    if not known:
        return None
    image = float(np.sqrt(np.mean([d.image_error**2 * d.images for d in known])))
    many = f"{len(known)} arm{'s' if len(known) > 1 else ''}"
    repeated = [d for d in known if d.freedom > 0]
    if not repeated:
        return Noise(image, PRIOR.training, f"{many}; that of training again is assumed")
    training = float(np.sqrt(np.mean([d.training_error**2 * d.pairs for d in repeated])))
    return Noise(image, training, many)
