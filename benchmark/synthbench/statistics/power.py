"""What a study can see: the smallest true difference that its design detects as a rule, before it is run.

Test images, segmenters trained again, generators trained again and other training images all blur a difference. Their
parts are taken from a pilot (earlier results of the same data and segmenter), or from a stated prior
(`synthbench.statistics.noise`).
"""

from __future__ import annotations

import numpy as np

from synthbench.statistics.differences import LEVEL
from synthbench.statistics.noise import BASELINE_SHARE, Noise
from synthbench.statistics.repeats import crossed_freedom, joint, joint_freedom, prior_freedom
from synthbench.statistics.together import WILD_ARM, WILD_BASELINE, two_way

POWER = 0.8
_STUDIES = 10_000
_TAG_TABLES = 5


def detectable(
    noise: Noise,
    images: int,
    seeds: int,
    arms: int,
    power: float = POWER,
    *,
    generator_seeds: int = 1,
    folds: int = 1,
) -> float:
    """Return the smallest true difference that is found significant with probability `power`.

    The test is the leaderboard's own (`synthbench.statistics.compare`): two-sided at 5 %, over test images, over
    training again and, with several folds, over those, all of whose spreads the study will have to estimate with the
    degrees of freedom that its design has, from all arms together where the test does so. It is corrected for the
    number of arms by Bonferroni, which is Holm's rule for the first arm to be found: where several arms differ, the
    study sees a little more than is said here.

    One segmenter seed in one fold decides nothing. With one generator seed the difference is that of the one generator
    trained, and the generator's noise plays no part, unless folds train it again.

    Parameters
    ----------
    noise
        Of one pair and one image.
    images
        Test images, or groups of them that belong together, over all folds.
    seeds
        Segmenter seeds.
    arms
        Arms that are compared with the baseline.
    power
        Above 0.05, below 1.
    generator_seeds
        Each crossed with all segmenter seeds; all share the baseline's runs.
    folds
        With test images of their own.

    Returns
    -------
    float
        In units of the score; NaN for fewer than two test images, of which there is no interval, or fewer than folds;
        infinite for one seed in one fold, which finds nothing however large.

    Raises
    ------
    ValueError
        If a number can't be used; the message names it.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    counts = {"images": images, "seeds": seeds, "arms": arms, "generator_seeds": generator_seeds, "folds": folds}
    for name, value in counts.items():
        if not value >= 1:
            raise ValueError(f"{name}: {value}; give 1 or more")
    if not 1 - LEVEL < power < 1:
        raise ValueError(f"power: {power}; give a share above {1 - LEVEL:.2f} and below 1")
    for name in ("image", "training", "generator", "single", "fold"):
        if not 0 <= getattr(noise, name) < np.inf:
            raise ValueError(f"noise: {name} is {getattr(noise, name)}; give a standard deviation, 0 or above")
    if images < 2 or images < folds:
        return float("nan")
    if seeds == 1 and folds == 1:
        return float("inf")
    if folds > 1:
        error2, limits = _over_folds(noise, images, seeds, arms, generator_seeds, folds)
    else:
        error2, limits = _over_seeds(noise, images, seeds, arms, generator_seeds)
    if error2 == 0:
        return 0.0

    def lacking(difference: float) -> float:
        return float(np.mean(ndtr((difference - limits) / np.sqrt(error2)))) - power

    most = float(limits.max()) + 4 * float(np.sqrt(error2))
    return float(brentq(lacking, 0.0, most)) if lacking(0.0) < 0 else 0.0


def _training2(noise: Noise, images: float) -> tuple[float, float]:
    """Return the variances that segmenter seeds bring to one pair of runs: the baseline's, and the arm's own."""
    both = noise.training**2 + noise.single**2 / images
    return BASELINE_SHARE * both, (1 - BASELINE_SHARE) * both


def _over_folds(
    noise: Noise, images: int, seeds: int, arms: int, generator_seeds: int, folds: int
) -> tuple[float, np.ndarray]:
    """Return the squared error of the difference, and the limits of a test over the means of folds."""
    base2, own2 = _training2(noise, images / folds)
    fold2 = noise.fold**2 + noise.generator**2 / generator_seeds + base2 / seeds + own2 / (seeds * generator_seeds)
    error2 = noise.image**2 / images + fold2 / folds
    estimates, freedom = _estimates([(error2, folds - 1)], arms)
    return error2, np.sqrt(estimates) * _factor(freedom, arms)


def _over_seeds(noise: Noise, images: int, seeds: int, arms: int, generator_seeds: int) -> tuple[float, np.ndarray]:
    """Return the squared error of the difference, and the limits of a test over seeds and test images."""
    base2, own2 = _training2(noise, images)
    pairs = seeds * generator_seeds
    generator2 = noise.generator**2 if generator_seeds > 1 else 0.0
    error2 = noise.image**2 / images + base2 / seeds + own2 / pairs + generator2 / generator_seeds
    shared = (generator_seeds - 1) / (pairs - 1) * BASELINE_SHARE if pairs > 1 else 1.0
    image2 = (noise.image**2 + shared * noise.single**2) / images
    levels = [((base2 + own2 / generator_seeds) / seeds, seeds - 1)]
    crossed = [((generator2 + own2 / seeds) / generator_seeds, generator_seeds - 1)] if generator_seeds > 1 else []
    estimates, freedom = _estimates(levels + crossed, arms)
    image2s = image2 * _chances(images - 1, 3)
    if arms > 1 and base2 > 0:
        alone, of_generators = (estimates, freedom), _estimates(crossed, arms)
        estimates, whole = _together(
            base2, own2, seeds, arms, generator_seeds, alone, of_generators, (image2s, images - 1)
        )
    elif crossed and arms == 1:
        parts = [(error * _chances(few, place), few) for place, (error, few) in enumerate(levels + crossed)]
        whole = crossed_freedom(image2s, images - 1, *parts)
    else:
        whole = joint_freedom(image2s, images - 1, estimates, freedom)
    return error2, np.sqrt(image2s + estimates) * _factor(whole, arms)


def _estimates(levels: list[tuple[float, int]], arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the spreads that studies estimate, ``(studies,)``, and their freedoms, with what other arms lend.

    Parameters
    ----------
    levels
        The true squared error of each level, and its degrees of freedom.
    """
    drawn = [error2 * _chances(freedom, place) for place, (error2, freedom) in enumerate(levels)]
    total = np.sum(drawn, axis=0) * np.ones(_STUDIES)
    if not np.any(total):
        return np.zeros(_STUDIES), np.zeros(_STUDIES)
    welch = joint(drawn, [freedom for _, freedom in levels])
    if arms == 1:
        return total, welch
    lent = prior_freedom(np.full(arms - 1, float(np.mean(welch))))
    prior = sum(error2 for error2, _ in levels) * _chances(lent, 2)
    return (welch * total + lent * prior) / (welch + lent), welch + lent


def _together(
    base2: float,
    own2: float,
    seeds: int,
    arms: int,
    generator_seeds: int,
    alone: tuple[np.ndarray, np.ndarray],
    of_generators: tuple[np.ndarray, np.ndarray],
    of_images: tuple[np.ndarray, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return spreads of the first arm in studies that estimate its training with the others', and whole freedoms.

    Parameters
    ----------
    alone
        What the test falls back on where the baseline varies more than the arms.
    of_generators
        What generator seeds add, where there are several.
    of_images
        What test images add.
    """
    rng = np.random.default_rng((_TAG_TABLES, _STUDIES))
    row, column = (index.ravel() for index in np.indices((arms + 1, seeds)))
    scale = np.where(row == 0, 1.0, 1 / generator_seeds)
    noise = np.where(row == 0, base2, own2 / generator_seeds)
    tables = np.sqrt(noise) * rng.standard_normal((_STUDIES, len(row)))
    variance, pooled, p = two_way(tables, row, column, scale)
    shared = variance * (1 + 1 / generator_seeds) / seeds
    own = (tables[:, row == 1] - tables[:, row == 0]).var(axis=1, ddof=1) / seeds
    wild = p[:, 1] < WILD_ARM
    training, freedom = np.where(wild, np.maximum(own, shared), shared), np.where(wild, seeds - 1, pooled)
    more, more_freedom = of_generators
    known = joint([training, more], [freedom, more_freedom]) if np.any(more) else freedom
    whole = joint_freedom(*of_images, training + more, known)
    baseline = p[:, 0] < WILD_BASELINE
    estimates, few = alone
    fallback = np.maximum(estimates, shared + more)
    few = joint_freedom(*of_images, fallback, few)
    return np.where(baseline, fallback, training + more), np.where(baseline, few, whole)


def _chances(freedom: float, place: int) -> np.ndarray:
    """Return how studies misjudge a variance, ``(studies,)``: chi-square over its freedom, the same in every call."""
    return np.random.default_rng((place, _STUDIES)).chisquare(freedom, _STUDIES) / freedom


def _factor(freedom: np.ndarray, arms: int) -> np.ndarray:
    """Return Student's t from which on a difference is significant."""
    from scipy.stats import t

    return np.asarray(t.isf((1 - LEVEL) / (2 * arms), freedom))
