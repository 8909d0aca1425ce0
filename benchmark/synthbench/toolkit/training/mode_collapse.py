"""What a training must not end with: numbers that aren't finite, and a network that draws one and the same nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

FLAT = 1e-3
"""A spread of drawn values below this, where the real ones have more, is a collapse."""
COLLAPSED = 0.02
"""So is one below this share of the real ones' spread, in what `check_mode_collapse` looks at."""
LOOKED_AT = 8
"""Samples that `check_mode_collapse` should be shown."""


class Diverged(RuntimeError):
    """A loss became infinite or NaN, or what a network draws is flat."""


def check_flat(spreads: Iterable[tuple[float, float]]) -> None:
    """Raise `Diverged` if all drawn images are flat whose real ones aren't, or a drawn value isn't finite.

    Parameters
    ----------
    spreads
        Standard deviations of drawn images and of the real ones beside them, of values in −1 … 1.
    """
    pairs = list(spreads)
    if not all(math.isfinite(drawn) for drawn, _ in pairs):
        raise Diverged("the network draws values that aren't finite; lower the learning rate")
    beside_textured = [drawn for drawn, real in pairs if real > FLAT]
    if beside_textured and max(beside_textured) < FLAT:
        raise Diverged("the network draws flat images; lower the learning rate")


def check_mode_collapse(drawn: np.ndarray, real: np.ndarray, channels: int, share: float = COLLAPSED) -> None:
    """Raise `Diverged` if drawn planes are flat, or all alike, where real ones aren't, or aren't finite.

    Spreads are the mean standard deviation of a plane over its pixels, and of a pixel over the samples.

    Parameters
    ----------
    drawn, real
        ``(n, planes, height, width)``, about `LOOKED_AT` of each. Without further noise in the drawn ones.
    channels
        Planes of the image; those after them are the mask's, if there are any.
    share
        Of the real spread; a smaller drawn one is a collapse.
    """
    if not np.isfinite(drawn).all():
        raise Diverged("the network draws values that aren't finite; lower the learning rate")
    for what, of in (("images", slice(channels)), ("masks", slice(channels, None))):
        for how, axes in (("flat", (2, 3)), ("one and the same", (0,))):
            spreads = [planes[:, of].std(axis=axes) for planes in (drawn, real)]
            if spreads[1].size and spreads[0].mean() < share * spreads[1].mean():
                raise Diverged(f"the {what} that the network draws are {how}; lower the learning rate")
