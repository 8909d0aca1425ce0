"""Overlapping objects in one label map: the smaller on top, everything counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.overlaps import ObjectMask, paint_objects

SHAPE = (12, 15)


@st.composite
def masks(draw) -> np.ndarray:
    top, left = draw(st.integers(0, 11)), draw(st.integers(0, 14))
    mask = np.zeros(SHAPE, bool)
    mask[top : top + draw(st.integers(0, 8)), left : left + draw(st.integers(0, 8))] = True
    return mask


@settings(max_examples=150, deadline=None)
@given(st.lists(masks(), max_size=7))
def test_every_pixel_belongs_to_the_smallest_object_that_covers_it(objects):
    log = ImportLog()
    labels = paint_objects([ObjectMask.of(mask, i + 1) for i, mask in enumerate(objects)], SHAPE, log)
    areas = [int(mask.sum()) for mask in objects]
    for y, x in np.ndindex(SHAPE):
        covering = [i for i, mask in enumerate(objects) if mask[y, x]]
        expected = min(covering, key=lambda i: (areas[i], -i)) + 1 if covering else 0
        assert labels[y, x] == expected
    depth = np.sum(objects, axis=0) if objects else np.zeros(SHAPE)
    seen = set(np.unique(labels)) - {0}
    assert log.counts.get("overlapping pixels given to the smaller object", 0) == int(np.clip(depth - 1, 0, None).sum())
    assert log.counts.get("annotations without a pixel, dropped", 0) == areas.count(0)
    hidden = len(objects) - areas.count(0) - len(seen)
    assert log.counts.get("objects wholly hidden by smaller ones, dropped", 0) == hidden
