"""Label maps: pairs for property tests, with all that makes them hard (names, gaps, types, memory, size), and discs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NAMES = (1, 2, 3, 7, 300, 65_536, 2**24 + 1, 2**31 - 2, 2**31 - 1)
TYPES = (np.int32, np.uint32, np.int64, np.uint64, np.dtype(">i4"))


@st.composite
def label_pairs(draw: st.DrawFn, *, most: int = 6, longest: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Two label maps of one shape, no side needed; often the second is a disturbed copy under other names."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=longest))
    places = hnp.arrays(np.int64, shape, elements=st.integers(0, most))
    true = draw(places)
    if draw(st.booleans()):
        disturbed = draw(hnp.arrays(bool, shape))
        found = np.where(disturbed, draw(places), true)
    else:
        found = draw(places)
    if draw(st.integers(0, 5)) == 0 and true.size <= most:
        true = np.arange(1, true.size + 1).reshape(shape)
    return draw(_dressed(true, most)), draw(_dressed(found, most))


@st.composite
def _dressed(draw: st.DrawFn, places: np.ndarray, most: int) -> np.ndarray:
    """Give the instances 1 … most other names, and the array another type and another layout in memory."""
    names = draw(st.permutations(NAMES))[:most]
    labels = np.array([0, *names])[places].astype(draw(st.sampled_from(TYPES)))
    layout = draw(st.sampled_from(["plain", "fortran", "strided", "reversed", "read-only"]))
    if layout == "fortran":
        return np.asfortranarray(labels)
    if layout == "strided":
        wide = np.full((2 * labels.shape[0], 3 * labels.shape[1]), 9, labels.dtype)
        wide[::2, ::3] = labels
        return wide[::2, ::3]
    if layout == "reversed":
        return labels[::-1, ::-1].copy()[::-1, ::-1]
    labels.flags.writeable = layout != "read-only"
    return labels


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Return the label map with the ids 1 … n in its order of ids, as plain int64: what other packages take."""
    ids = np.unique(labels)
    return np.searchsorted(ids[ids > 0], labels, side="right").astype(np.int64).reshape(labels.shape)


def discs(size: int = 48) -> np.ndarray:
    """Return discs with one pixel in their very middle, so that the middle is the same however they are turned."""
    yy, xx = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for label, (y, x, radius) in enumerate([(9, 12, 6), (11, 33, 8), (30, 20, 9), (38, 39, 5), (31, 3, 6)], start=1):
        labels[((yy - y) ** 2 + (xx - x) ** 2 <= radius**2) & (labels == 0)] = label
    labels[:, 0] = 0
    return labels
