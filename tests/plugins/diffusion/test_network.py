"""The network of diffusion: it heeds time and condition, and its squares leave no grid."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("einops")


from synthbench.toolkit.generators.diffusion_processes import GaussianDiffusion
from synthbench.toolkit.layers.residual_refinement import ResidualRefinement
from synthbench_diffusion.network import Denoiser


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_network_keeps_shape_and_heeds_time_and_condition(factor: int) -> None:
    torch.manual_seed(0)
    network = Denoiser(3, 2, 16, (1, 2), factor).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    noisy, condition = torch.randn(2, 3, 4 * network.side_multiple, 2 * network.side_multiple), torch.zeros(2, 2, 1, 1)
    condition = condition.expand(-1, -1, *noisy.shape[2:])
    found = network(noisy, torch.tensor([1, 1]), condition)
    assert found.shape == noisy.shape
    assert not torch.allclose(network(noisy, torch.tensor([1, 900]), condition)[1], found[1], atol=0.02)
    assert not torch.allclose(network(noisy, torch.tensor([1, 1]), condition + 1), found, atol=0.02)


def test_folds_are_mended_beside_a_condition_alone() -> None:
    assert isinstance(Denoiser(1, 1, 8, (1, 2), 4).refinement, ResidualRefinement)
    assert Denoiser(1, 0, 8, (1, 2), 4).refinement is None
    assert Denoiser(1, 1, 8, (1, 2), 1).refinement is None


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_rows_and_columns_of_a_folds_squares_are_evened_out(factor: int) -> None:
    network = Denoiser(1, 0, 8, (1,), factor).eval()
    last = network.unet.out[-1].conv
    torch.nn.init.zeros_(last.weight)
    down, right = torch.meshgrid(torch.arange(factor), torch.arange(factor), indexing="ij")
    with torch.no_grad():
        last.bias.copy_((down**2 + 3 * right).flatten().float())
    noisy, times = torch.randn(2, 1, 6 * factor, 4 * factor), torch.tensor([5, 7])
    assert network(noisy, times).std() > 1
    assert network.cycle_spin(noisy, times).shape == noisy.shape
    assert network.cycle_spin(noisy, times).std() < 1e-5
    assert network.cycle_spin(noisy, times).mean().item() == pytest.approx(last.bias.mean().item(), abs=1e-4)


def test_without_folds_there_is_nothing_to_even_out() -> None:
    torch.manual_seed(0)
    network = Denoiser(2, 0, 8, (1, 2), 1).eval()
    noisy, times = torch.randn(1, 2, 16, 16), torch.tensor([5])
    assert torch.equal(network.cycle_spin(noisy, times), network(noisy, times))


def test_the_last_step_of_a_drawing_may_be_anothers() -> None:
    process, asked = GaussianDiffusion(100, "linear_beta", "sample"), []

    def predict(name: str) -> Any:
        return lambda noisy, times: asked.append((name, int(times[0]))) or torch.full_like(noisy, 0.5)

    drawn = process.sample(predict("network"), torch.zeros(1, 1, 2, 2), 4, predict("last"))
    assert asked == [("network", 99), ("network", 74), ("network", 49), ("last", 24)]
    assert torch.allclose(drawn, torch.full_like(drawn, 0.5))


def test_the_time_reaches_the_image() -> None:
    """Groups of a single channel would take off what the time adds to it, the same at all its pixels."""
    torch.manual_seed(0)
    network = Denoiser(1, 0, 8, (1,), 1).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    noisy = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(network(noisy, torch.tensor([900])), network(noisy, torch.tensor([1])), atol=0.02)


@pytest.mark.parametrize(("model_channels", "channel_mult"), [(8, (1,)), (24, (1, 2)), (56, (1, 2, 2)), (8, (1, 1, 3))])
def test_networks_of_all_widths_can_be_built(model_channels: int, channel_mult: tuple[int, ...]) -> None:
    noisy = torch.zeros(1, 1, 16, 32)
    assert Denoiser(1, 0, model_channels, channel_mult, 2)(noisy, torch.tensor([3])).shape == noisy.shape
