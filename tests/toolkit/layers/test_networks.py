"""Image-to-image networks and patch discriminators have the published layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator, PatchDiscriminator
from synthbench.toolkit.layers.initialisation import initialise_normal
from synthbench.toolkit.layers.padding import at_multiple, extend_by_reflection
from synthbench.toolkit.layers.resnet_generator import ResNetGenerator


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: ResNetGenerator(36, 3, 64, 4, 9), 182_546_755),  # GlobalGenerator of NVIDIA/pix2pixHD
        (lambda: ResNetGenerator(3, 3, 64, 2, 9), 11_378_179),  # ResnetGenerator of pytorch-CycleGAN-and-pix2pix
        (lambda: MultiscaleDiscriminator(39, 64, count=3), 8_404_803),  # MultiscaleDiscriminator of pix2pixHD
        (lambda: PatchDiscriminator(3, 64), 2_764_737),  # NLayerDiscriminator of pytorch-CycleGAN-and-pix2pix
    ],
)
def test_networks_are_as_large_as_the_published_ones(build, count):
    with torch.device("meta"):
        assert parameters(build()) == count


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("shape", [(16, 16), (17, 40), (33, 23)])
def test_the_generator_draws_at_any_size(upsampling, shape):
    network = ResNetGenerator(2, 3, 4, 3, 1, upsampling)
    drawn = network(torch.randn(1, 2, *shape))
    assert drawn.shape == (1, 3, *shape)
    assert 0 < drawn.abs().max() <= 1


def test_weights_start_small():
    network = ResNetGenerator(2, 1, 16, 2, 2)
    weights = torch.cat([m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)


def receptive_field(discriminator: PatchDiscriminator) -> int:
    """Return how many pixels of a row change a logit in the middle."""
    side = 160
    x = torch.zeros(1, 1, side, side, requires_grad=True)
    for module in discriminator.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.forward = lambda features: features  # type: ignore[method-assign]
    logits = discriminator(x)[-1]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    return int((x.grad[0, 0].abs().sum(dim=0) > 0).sum())


def test_a_logit_of_three_layers_sees_seventy_pixels():
    discriminator = PatchDiscriminator(1, 4).apply(lambda module: initialise_normal(module, 1.0))
    assert receptive_field(discriminator) == 70


def test_features_of_all_layers_come_back_with_the_logits_last():
    features = PatchDiscriminator(3, 8)(torch.randn(2, 3, 64, 64))
    assert [(f.shape[1], f.shape[2]) for f in features] == [(8, 32), (16, 16), (32, 8), (64, 7), (1, 6)]


def test_further_discriminators_see_the_image_at_half_the_size():
    network = MultiscaleDiscriminator(1, 4, count=3)
    seen = []
    for discriminator in network.discriminators:
        discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.randn(1, 1, 32, 32)
    network(x)
    assert [tuple(planes.shape[2:]) for planes in seen] == [(32, 32), (16, 16), (8, 8)]
    assert float(seen[1][0, 0, 3, 5]) == pytest.approx(float(x[0, 0, 5:8, 9:12].mean()), abs=1e-6)
    assert float(seen[1][0, 0, 0, 0]) == pytest.approx(float(x[0, 0, :2, :2].mean()), abs=1e-6)


def test_spectral_norm_bounds_the_inner_layers():
    network = PatchDiscriminator(1, 4, spectral=True).apply(lambda module: initialise_normal(module, 5.0))
    for _ in range(30):
        network(torch.randn(1, 1, 64, 64))
    inner = [layer[0] for layer in network.layers[1:-1]]
    norms = [float(torch.linalg.matrix_norm(c.weight.detach().flatten(1), 2)) for c in inner]
    assert norms == pytest.approx([1.0] * 3, rel=0.05)
    assert all(convolution.bias is None for convolution in inner)


@pytest.mark.parametrize(("below", "right"), [(0, 0), (3, 0), (2, 9), (7, 1)])
def test_planes_are_extended_by_reflection(below, right):
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    extended = extend_by_reflection(x, below, right)
    assert extended.shape == (1, 1, 3 + below, 4 + right)
    rows, columns = ([k % (2 * n - 2) for k in range(n + more)] for n, more in ((3, below), (4, right)))
    expected = [[float(x[0, 0, min(r, 4 - r), min(c, 6 - c)]) for c in columns] for r in rows]
    assert extended[0, 0].tolist() == expected


def test_a_network_gets_sides_that_suit_it():
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape[2:]))
        return 2 * x

    x = torch.rand(1, 2, 9, 16)
    assert torch.equal(at_multiple(network, x, 8), 2 * x)
    assert seen == [(16, 16)]
