"""The Mann–Whitney test of two samples, as a z value."""

from __future__ import annotations

import numpy as np

from synthbench.types import AnyArray

__all__ = ["mann_whitney"]


def mann_whitney(first: AnyArray, second: AnyArray) -> float:
    """Return z of Mann and Whitney's U, corrected for ties.

    Parameters
    ----------
    first, second
        ``(n,)`` and ``(m,)``, n, m ≥ 1.

    Returns
    -------
    float
        Below 0 where the first values are smaller; 0 where all values are equal.
    """
    from scipy.stats import rankdata

    n, m = len(first), len(second)
    values = np.concatenate([first, second])
    u = rankdata(values)[:n].sum() - n * (n + 1) / 2
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    variance = n * m / 12 * ((n + m + 1) - (ties**3 - ties).sum() / ((n + m) * (n + m - 1)))
    return float((u - n * m / 2) / np.sqrt(variance)) if variance > 0 else 0.0
