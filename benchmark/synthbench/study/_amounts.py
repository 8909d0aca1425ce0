"""Amounts of synthetic samples."""

from __future__ import annotations

import math

from synthbench.errors import ConfigError

__all__ = ["amount_of"]


def amount_of(amount: int | str, real: int) -> int:
    """Return how many synthetic samples an amount means: a number, or a multiple (``"2x"``) of the real ones.

    Raises
    ------
    ConfigError
        If that comes to none.
    """
    count = amount if isinstance(amount, int) else math.floor(float(amount.removesuffix("x")) * real + 0.5)
    if count < 1:
        raise ConfigError(f"synthetic: {amount!r} of {real} real images is no sample at all; ask for more")
    return count
