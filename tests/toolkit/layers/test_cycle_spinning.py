"""A pattern of squares is gone from the mean over its places, and what has none stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from synthbench.toolkit.layers.cycle_spinning import cycle_spin, shifts


@pytest.mark.parametrize("period", [1, 2, 3, 4, 8])
def test_each_row_and_column_of_a_square_is_taken_once(period: int) -> None:
    rows, columns = zip(*shifts(period), strict=True)
    assert sorted(rows) == sorted(columns) == list(range(period))


@pytest.mark.parametrize(("period", "multiple", "side"), [(2, 2, 4), (4, 16, 16), (8, 8, 16), (8, 8, 8), (3, 6, 12)])
def test_rows_and_columns_of_a_pattern_are_evened_out(period: int, multiple: int, side: int) -> None:
    rows, columns = torch.randn(2, period, generator=torch.Generator().manual_seed(0))
    pattern = rows[:, None] + columns

    def patterned(planes: torch.Tensor) -> torch.Tensor:
        assert all(n % multiple == 0 for n in planes.shape[2:])
        return planes + pattern.repeat(planes.shape[2] // period, planes.shape[3] // period)

    planes = torch.randn(2, 3, side, 2 * side, generator=torch.Generator().manual_seed(1))
    assert (patterned(planes) - planes).std() > 0.3
    assert torch.allclose(cycle_spin(patterned, planes, period, multiple), planes + pattern.mean(), atol=1e-5)


def test_what_treats_all_pixels_alike_is_the_same_away_from_the_edge() -> None:
    weight = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    planes = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))

    def blurred(x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, weight, padding=1)

    found = cycle_spin(blurred, planes, 4, 8)
    assert torch.allclose(found[..., 1:-1, 1:-1], blurred(planes)[..., 1:-1, 1:-1], atol=1e-5)


def test_without_a_pattern_it_is_asked_once() -> None:
    planes = torch.randn(1, 1, 8, 8)
    assert torch.equal(cycle_spin(torch.exp, planes, 1, 8), planes.exp())
