"""Rates of true positives, false positives and false negatives, each as a fraction whose two sides can be summed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthbench.types import AnyArray

__all__ = ["RATES", "divide", "rate"]

RATES: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "precision": lambda tp, fp, fn: (tp, tp + fp),
    "recall": lambda tp, fp, fn: (tp, tp + fn),
    "f1": lambda tp, fp, fn: (2 * tp, 2 * tp + fp + fn),
    "jaccard_ap": lambda tp, fp, fn: (tp, tp + fp + fn),
}
"""By name, a function of TP, FP and FN (numbers or arrays of one shape) that returns numerator and denominator.

``f1`` of pixels is the Dice coefficient, ``jaccard_ap`` of pixels is IoU. ``jaccard_ap`` of objects is what Cellpose,
StarDist and the 2018 Data Science Bowl call average precision.
"""


def divide(numerator: ArrayLike, denominator: ArrayLike) -> AnyArray:
    """Return the quotient as float64; 0/0 is 0.

    Parameters
    ----------
    numerator, denominator
        Numbers or arrays of one shape, denominators 0 or above.
    """
    below = np.asarray(denominator)
    return np.divide(np.asarray(numerator), below, out=np.zeros(below.shape), where=below > 0)


def rate(name: str, tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> AnyArray:
    """Return a rate of `RATES`, 0 … 1 in float64; 0/0 is 0.

    Parameters
    ----------
    name
        One of `RATES`.
    tp, fp, fn
        Counts of one shape, 0 or above.

    Examples
    --------
    >>> rate("f1", [3, 0], [1, 0], [1, 0]).tolist()
    [0.75, 0.0]
    """
    return divide(*RATES[name](np.asarray(tp), np.asarray(fp), np.asarray(fn)))
