"""What a training must not end with: numbers that aren't finite, and a network that draws one and the same nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

FLAT = 1e-3
"""A spread of drawn values below this, where the real ones have more, is a collapse."""


class Diverged(RuntimeError):
    """A loss became infinite or NaN, or what a network draws is flat."""


def refuse_flat(spreads: Iterable[tuple[float, float]]) -> None:
    """Raise `Diverged` if all drawn images are flat whose real ones aren't, or a drawn value isn't finite.

    Parameters
    ----------
    spreads
        Standard deviations of drawn images and of the real ones beside them, of values in −1 … 1.
    """
    pairs = list(spreads)
    if not all(math.isfinite(drawn) for drawn, _ in pairs):
        raise Diverged("the network draws values that aren't finite; lower the learning rate")
    if pairs and all(drawn < FLAT < real for drawn, real in pairs):
        raise Diverged("the network draws flat images; lower the learning rate")
