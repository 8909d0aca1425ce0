"""Whether drawn samples say the truth of where their masks come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.samples import MASK, ORIGINS, Sample, SampleSet

__all__ = ["wrong_origin"]


def wrong_origin(sample: Sample, train: SampleSet) -> str:
    """Return what is wrong with what a drawn sample says of its mask; an empty text where nothing is."""
    said = sample.groups.get(MASK, "")
    if said and said not in ORIGINS:
        return f"says {MASK}: {said!r}; give {', '.join(ORIGINS[:-1])} or {ORIGINS[-1]}, or leave the group out"
    if said in ("new", "recombined"):
        for other in train:
            if _same(sample.labels, other.labels):
                return f"says {MASK}: {said!r}, and its mask is that of {other.id!r}: say 'training'"
    return ""


def _same(labels: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two masks cover the same pixels in one of the eight positions, and enough objects to mean something."""
    inside = other > 0
    if len(np.unique(other)) < 4 or inside.all():
        return False
    ways = (np.rot90(part, turns) for part in (labels > 0, labels[:, ::-1] > 0) for turns in range(4))
    return any(np.array_equal(way, inside) for way in ways)
