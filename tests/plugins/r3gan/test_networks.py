"""R3GAN's layers and networks: sizes, initial weights, resampling, and gradients of gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from synthbench_r3gan.layers import ResidualBlock, convolution, downsample2x, linear, upsample2x
from synthbench_r3gan.losses import gradient_penalty
from synthbench_r3gan.networks import Discriminator, GeneratorNetwork, widths

AUTHORS = {64: [768] * 4 + [384], 256: [768] * 4 + [384, 192, 96]}
"""Channels of the authors' networks, by the side of the image."""


def block_parameters(channels: int) -> int:
    """Two 1×1 convolutions, one of 3×3 in groups of 16 channels, and two biases, all at twice the width."""
    inner = 2 * channels
    return 2 * channels * inner + 9 * 16 * inner + 2 * inner


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("side", AUTHORS)
def test_the_published_networks_have_the_authors_widths(side: int) -> None:
    assert widths(side, 768, 24_576) == AUTHORS[side]


def test_every_parameter_is_accounted_for() -> None:
    channels = [64, 64, 32]
    blocks = sum(2 * block_parameters(width) for width in channels)
    change = 64 * 32
    basis = 64 * 16
    with torch.device("meta"):
        assert count(GeneratorNetwork(channels, 2, 24, 3, 2)) == blocks + change + basis + 24 * 64 + 32 * 3
        with_classes = count(GeneratorNetwork(channels, 2, 24, 3, 2, classes=5))
        assert with_classes == blocks + change + basis + 2 * 24 * 64 + 5 * 24 + 32 * 3
        assert count(Discriminator(channels, 2, 3)) == blocks + change + basis + 64 + 3 * 32
        assert count(Discriminator(channels, 2, 3, classes=5)) == blocks + change + basis + 64 * 64 + 5 * 64 + 3 * 32


def test_initial_weights_keep_the_variance_and_blocks_begin_as_nothing() -> None:
    torch.manual_seed(0)
    block, gain = ResidualBlock(64, blocks=10), math.sqrt(2 / 1.04) * 10**-0.25
    assert float(block.expand.weight.detach().std()) == pytest.approx(gain / math.sqrt(64), rel=0.05)
    assert float(block.grouped.weight.detach().std()) == pytest.approx(gain / math.sqrt(9 * 16), rel=0.05)
    assert not block.reduce.weight.any()
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(block(x), x)
    assert float(convolution(40, 60, 3).weight.detach().std()) == pytest.approx(1 / math.sqrt(360), rel=0.05)
    assert float(linear(50, 80, gain=3.0).weight.detach().std()) == pytest.approx(3 / math.sqrt(50), rel=0.05)


def test_resampling_filters_with_1_3_3_1() -> None:
    image = np.random.default_rng(0).random((12, 16))
    planes = torch.from_numpy(image).expand(2, 3, 12, 16)
    taps = np.convolve([1, 2, 1], [1, 1]) / 8
    down = ndimage.correlate1d(np.pad(image, 2), taps, axis=0, mode="constant", origin=0)
    down = ndimage.correlate1d(down, taps, axis=1, mode="constant", origin=0)[3:-2:2, 3:-2:2]
    assert np.allclose(downsample2x(planes)[1, 2], down)
    # upsampling is four times the transpose of downsampling
    other = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    left, right = (downsample2x(planes) * other).sum(), (planes * upsample2x(other)).sum() / 4
    assert float(left) == pytest.approx(float(right))
    assert torch.allclose(upsample2x(torch.ones(1, 1, 6, 6))[..., 1:-1, 1:-1], torch.ones(10, 10))


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(
    "name", ["from_planes", "stages.0.0.expand", "stages.0.0.grouped", "stages.1.0.reduce", "change.0", "basis"]
)
def test_the_penalty_s_gradient_is_that_of_finite_differences(
    name: str, factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the weights of each kind of convolution, with a smooth activation; single precision agrees with double."""
    monkeypatch.setattr(F, "leaky_relu", lambda x, slope: F.softplus(x))
    torch.manual_seed(0)
    network = Discriminator([16, 8], 1, 2, classes=2, factor=factor)
    for stage in network.stages:
        torch.nn.init.normal_(stage[0].reduce.weight, 0, 0.3)
    planes, classes = torch.randn(2, 2, 8 * factor, 8 * factor), torch.tensor([0, 1])
    weight = network.get_parameter(f"{name}.weight").detach().double()
    direction = torch.randn(weight.shape, dtype=torch.float64)

    def penalty(weight: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        inputs = planes.to(dtype).requires_grad_()
        changed = {f"{name}.weight": weight.to(dtype)}
        scores = torch.func.functional_call(network.to(dtype), changed, (inputs, classes))
        return gradient_penalty(scores, inputs)

    step = 1e-5 * direction
    expected = float((penalty(weight + step) - penalty(weight - step)).detach() / 2e-5)
    for dtype in (torch.float64, torch.float32):
        trained = weight.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(penalty(trained, dtype), trained)
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("factor", [1, 2])
def test_planes_have_the_size_of_patches_and_follow_z_and_class(factor: int) -> None:
    torch.manual_seed(0)
    network = GeneratorNetwork([16, 16, 8], 1, 4, 3, 2, classes=3, factor=factor, softmax=True)
    z, classes = torch.randn(2, 4).repeat(2, 1), torch.tensor([0, 0, 2, 2])
    planes = network(z, classes)
    assert planes.shape == (4, 3, 16 * factor, 16 * factor)
    assert len({tuple(each.flatten().tolist()) for each in planes[:, 0]}) == 4
    assert torch.allclose(planes[:, 1:].sum(dim=1), torch.zeros(()), atol=1e-5)  # two classes, 2 · softmax − 1
    scores = Discriminator([16, 16, 8], 1, 3, classes=3, factor=factor)(planes, classes)
    assert scores.shape == (4,)
    assert len(set(scores.tolist())) == 4


def test_mask_planes_with_tanh_stay_between_minus_one_and_one() -> None:
    """The planes of the image don't: they are what the last convolution returns."""
    torch.manual_seed(0)
    free = GeneratorNetwork([16, 8], 1, 4, 3, 2)
    bounded = GeneratorNetwork([16, 8], 1, 4, 3, 2, tanh=True)
    with torch.no_grad():
        free.to_planes.weight.mul_(100)
    bounded.load_state_dict(free.state_dict())
    z = torch.randn(2, 4)
    none = torch.zeros(2, dtype=torch.int64)
    planes, limited = free(z, none).detach(), bounded(z, none).detach()
    assert torch.equal(limited[:, :1], planes[:, :1])
    assert torch.equal(limited[:, 1:], torch.tanh(planes[:, 1:]))
    assert limited[:, :1].max() > 1


def test_a_coarser_discriminator_sees_every_pixel() -> None:
    """Squares of pixels become planes: none is averaged away, so each one moves the score."""
    torch.manual_seed(0)
    network = Discriminator([16, 8], 1, 2, unshuffle=2)
    assert network.from_planes.weight.shape[1] == 2 * 4
    planes = torch.randn(1, 2, 16, 16, requires_grad=True)
    network(planes, torch.zeros(1, dtype=torch.int64)).sum().backward()
    assert planes.grad is not None
    assert bool((planes.grad != 0).all())
