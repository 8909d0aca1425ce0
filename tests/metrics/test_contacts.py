"""Which objects touch: by sides, by corners, and not through background."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.metrics.contacts import contacts, touching_labels, touching_pairs


@pytest.mark.parametrize(
    ("rows", "pairs"),
    [
        ([[1, 2]], [[1, 2]]),
        ([[2], [1]], [[1, 2]]),
        ([[1, 0], [0, 2]], [[1, 2]]),
        ([[0, 5], [3, 0]], [[3, 5]]),
        ([[1, 0, 2]], []),
        ([[0, 0], [0, 0]], []),
        ([[4, 4], [4, 4]], []),
        ([[1, 1, 2], [3, 0, 2]], [[1, 2], [1, 3]]),
    ],
)
def test_pairs_touch_by_sides_or_corners(rows: list[list[int]], pairs: list[list[int]]) -> None:
    labels = np.array(rows, np.uint16)
    assert touching_pairs(labels).tolist() == pairs
    assert touching_labels(labels).tolist() == sorted({label for pair in pairs for label in pair})


def test_a_single_pixel_touches_nothing() -> None:
    assert touching_pairs(np.ones((1, 1), int)).shape == (0, 2)
    assert all(len(first) == len(second) == 0 for first, second in contacts(np.ones((1, 1), int)))
