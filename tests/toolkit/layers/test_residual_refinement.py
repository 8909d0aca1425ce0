"""Refinement at full resolution starts as the identity and learns to remove a grid."""

from __future__ import annotations

import torch
from torch.nn import functional

from synthbench.toolkit.layers.residual_refinement import ResidualRefinement


def test_in_the_beginning_planes_stay_as_they_are():
    planes, context = torch.randn(2, 3, 8, 9), torch.randn(2, 1, 8, 9)
    assert torch.equal(ResidualRefinement(3, 1)(planes, context), planes)


def test_all_pixels_are_treated_alike():
    refine = ResidualRefinement(1, 1)
    torch.nn.init.normal_(refine.convolutions[-1].weight)
    planes, context = torch.randn(2, 1, 1, 24, 24)
    whole, shifted = refine(planes, context), refine(planes.roll(1, dims=3), context.roll(1, dims=3))
    assert torch.allclose(whole[..., 4:-4, 4:-5], shifted[..., 4:-4, 5:-4], atol=1e-5)


def test_a_grid_is_learned_away():
    """Every fourth pixel is too bright by half of the image's spread; what is seen context is of no use."""
    torch.manual_seed(0)
    refine, context = ResidualRefinement(1, 1), torch.zeros(4, 1, 32, 32)
    optimiser = torch.optim.Adam(refine.parameters(), 5e-3)
    grid = torch.zeros(1, 1, 32, 32)
    grid[..., ::4, ::4] = 0.5

    def error():
        clean = functional.avg_pool2d(torch.randn(4, 1, 40, 40), 9, 1) * 9
        return ((refine(clean + grid, context) - clean)[..., 4:-4, 4:-4] ** 2).mean()

    before = error().item()
    for _ in range(400):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    assert error().item() < 0.3 * before
