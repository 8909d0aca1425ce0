"""Distances between a synthetic set and a real one: by features of images, and by shapes of masks.

Each comes with the same figure for other real images in place of the synthetic ones (real vs real): the level that
perfect synthetic images would reach.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from synthbench.metrics.feature_set import FeatureSet
from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import PERMUTATIONS, kernel_distance, kernel_interval, permutation_test
from synthbench.metrics.mask_realism import Gap, compare_masks
from synthbench.metrics.prdc import NEIGHBOURS, prdc
from synthbench.types import AnyArray

__all__ = ["MIN_IMAGES", "compare_features", "compare_kernel", "compare_mask_shapes"]

MIN_IMAGES = NEIGHBOURS + 1
"""Images of each set that precision, recall, density and coverage and the search for duplicates need."""


def compare_features(
    synthetic: FeatureSet, real: FeatureSet, other_real: FeatureSet | None, encoder: str, variant: str = ""
) -> dict[str, Any]:
    """Compute the figures that depend on the number of images: Fréchet distance, precision … coverage.

    Parameters
    ----------
    synthetic, real
        Sets of equally many images.
    other_real
        As many other real images, for the real-vs-real figures; None to leave these out.
    encoder, variant
        The encoder that made the features.

    Returns
    -------
    dict
        ``frechet``: ``name``, ``value``, ``real_vs_real``. ``prdc``: ``neighbours``, ``synthetic``, ``real_vs_real``;
        None with fewer than `MIN_IMAGES` images.

    Raises
    ------
    ValueError
        If the numbers of images differ, or features can't be compared.
    """
    counts = _counts(synthetic=synthetic, real=real, other_real=other_real)
    if len(set(counts.values())) != 1:
        raise ValueError(f"unequal numbers of images: {counts}")
    x, y = synthetic.features, real.features
    other = other_real.features if other_real else None
    return {
        "frechet": {
            "name": distance_names(encoder, variant)[0],
            "value": frechet_distance(x, y),
            "real_vs_real": None if other is None else frechet_distance(other, y),
        },
        "prdc": {
            "neighbours": NEIGHBOURS,
            "synthetic": dict(prdc(y, x)),
            "real_vs_real": None if other is None else dict(prdc(y, other)),
        }
        if len(x) >= MIN_IMAGES
        else None,
    }


def compare_kernel(
    synthetic: FeatureSet, real: FeatureSet, train: FeatureSet | None, encoder: str, variant: str = ""
) -> dict[str, Any]:
    """Compute the kernel distance of all images, whose bias doesn't depend on their number, and its p-value.

    Parameters
    ----------
    synthetic, real, train
        All images of each set, at least two.
    encoder, variant
        The encoder that made the features.

    Returns
    -------
    dict
        ``value`` is the distance of synthetic from real images, ``low`` and ``high`` the ends of its 95 % interval.
        ``p`` is that of the hypothesis that synthetic images come from the distribution of real and training images
        together. ``real_vs_real``, ``real_vs_real_low`` and ``real_vs_real_high``: the same figures with the training
        images in place of the synthetic ones; ``real_vs_real_p``: training against real images. None without `train`.

    Raises
    ------
    ValueError
        If features can't be compared.
    """
    x, y = synthetic.features, real.features
    other = None if train is None else train.features
    real_vs_real: dict[str, Any] = dict.fromkeys(("value", "low", "high")) if other is None else _estimate(other, y)
    return {
        "name": distance_names(encoder, variant)[1],
        "images": _counts(synthetic=synthetic, real=real, train=train),
        **_estimate(x, y),
        "p": permutation_test(x, y if other is None else np.concatenate([y, other]), seed=0),
        "permutations": PERMUTATIONS,
        "real_vs_real": real_vs_real["value"],
        "real_vs_real_low": real_vs_real["low"],
        "real_vs_real_high": real_vs_real["high"],
        "real_vs_real_p": None if other is None else permutation_test(other, y, seed=0),
    }


def compare_mask_shapes(
    synthetic: FeatureSet, real: FeatureSet, other_real: FeatureSet | None
) -> dict[str, Gap] | None:
    """Compute how far the shapes of objects are apart.

    Returns
    -------
    dict or None
        By measure, what `synthbench.metrics.mask_realism.compare_masks` returns; None where a set has no masks of
        objects.
    """
    of_synthetic, of_real = synthetic.pooled_mask_measures, real.pooled_mask_measures
    if of_synthetic is None or of_real is None:
        return None
    of_others = other_real.pooled_mask_measures if other_real else None
    return compare_masks(of_synthetic, of_real, of_others)


def _estimate(x: AnyArray, y: AnyArray) -> dict[str, float]:
    low, high = kernel_interval(x, y, seed=0)
    return {"value": kernel_distance(x, y), "low": low, "high": high}


def _counts(**sets: FeatureSet | None) -> dict[str, int]:
    return {name: len(images.names) for name, images in sets.items() if images is not None}
