"""Connected pieces, against skimage's labelling."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label

from synthbench.datasets.components import connected_components


def expected(labels: np.ndarray, diagonal: bool) -> list[tuple[int, int, bool]]:
    regions = label(labels, connectivity=2 if diagonal else 1, background=0)
    sides = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    found = [(regions == i, i) for i in range(1, regions.max() + 1)]
    return sorted((int(labels[region][0]), int(region.sum()), i not in sides) for region, i in found)


@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_pieces_are_those_of_skimage(seed: int, diagonal: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(2, 5), rng.integers(1, 24, 2)).astype(rng.choice(["uint8", "int64"]))
    if seed % 2:
        labels = np.kron(labels, np.ones((2, 3), labels.dtype))
    found = connected_components(labels, diagonal=diagonal)
    told = zip(found.label.tolist(), found.area.tolist(), found.interior.tolist(), strict=True)
    assert sorted(told) == expected(labels, diagonal)


def test_a_spiral_is_one_piece_and_a_chessboard_one_or_many() -> None:
    spiral = np.zeros((41, 41), bool)
    for k in range(0, 20, 2):
        spiral[k, max(0, k - 2) : 41 - k], spiral[k : 41 - k, 40 - k] = True, True
        spiral[40 - k, k : 41 - k], spiral[k + 2 : 41 - k, k] = True, True
    assert len(connected_components(spiral, diagonal=False)) == int(label(spiral, connectivity=1).max()) == 1
    board = np.indices((8, 8)).sum(axis=0) % 2
    assert (len(connected_components(board)), len(connected_components(board, diagonal=False))) == (1, 32)
    assert len(connected_components(np.zeros((3, 3), np.uint8))) == 0
