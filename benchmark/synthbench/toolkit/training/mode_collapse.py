"""Checks that a trained generator hasn't failed: values that aren't finite, flat images, and mode collapse."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from synthbench.types import FloatArray

__all__ = ["SAMPLES_TO_CHECK", "Diverged", "check_flat", "check_mode_collapse"]

MIN_STD = 1e-3
"""`check_flat` calls an image flat if its values, −1 … 1, have a smaller standard deviation."""
MIN_STD_RATIO = 0.02
"""`check_mode_collapse` fails if generated samples vary less than this fraction of the variation of real ones."""
SAMPLES_TO_CHECK = 8
"""How many samples `check_mode_collapse` needs."""


class Diverged(RuntimeError):
    """A loss or a weight is infinite or NaN, or the generator's output is flat or always the same."""


def check_flat(stds: Iterable[tuple[float, float]]) -> None:
    """Check that not all generated images are flat.

    Parameters
    ----------
    stds
        Pairs of standard deviations, of a generated image and of the real image beside it, with values in −1 … 1. Pairs
        whose real image is flat don't count.

    Raises
    ------
    Diverged
        If all generated images are flat, or one has values that aren't finite.
    """
    pairs = list(stds)
    if not all(math.isfinite(generated) for generated, _ in pairs):
        raise Diverged("the network generates values that aren't finite; lower the learning rate")
    beside_varied = [generated for generated, real in pairs if real > MIN_STD]
    if beside_varied and max(beside_varied) < MIN_STD:
        raise Diverged("the network generates flat images; lower the learning rate")


def check_mode_collapse(
    generated: FloatArray, real: FloatArray, channels: int, min_ratio: float = MIN_STD_RATIO
) -> None:
    """Check that generated samples are neither flat nor all the same, for images and masks separately.

    Compared are two means of standard deviations: of a plane over its pixels, and of a pixel over the samples.

    Parameters
    ----------
    generated, real
        ``(n, planes, height, width)``, about `SAMPLES_TO_CHECK` of each; the generated ones before noise is added.
    channels
        Planes of the image; the remaining ones, if any, are the mask's.
    min_ratio
        Smallest ratio of the generated to the real standard deviation.

    Raises
    ------
    Diverged
        If a ratio is smaller, or a generated value isn't finite.
    """
    if not np.isfinite(generated).all():
        raise Diverged("the network generates values that aren't finite; lower the learning rate")
    for kind, planes in (("images", slice(channels)), ("masks", slice(channels, None))):
        for problem, axes in (("flat", (2, 3)), ("all the same", (0,))):
            generated_std, real_std = (samples[:, planes].std(axis=axes) for samples in (generated, real))
            if real_std.size and generated_std.mean() < min_ratio * real_std.mean():
                raise Diverged(f"the {kind} that the network generates are {problem}; lower the learning rate")
