"""StyleGAN2's layers and networks are those of the papers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.upsampling import upsample2x
from synthbench_stylegan2.discriminator import Discriminator, minibatch_stddev
from synthbench_stylegan2.layers import EqualisedConv, ModulatedConv, SynthesisLayer, filter_1331
from synthbench_stylegan2.networks import (
    GeneratorNetwork,
    MappingNetwork,
    SynthesisNetwork,
    channels_by_resolution,
    skip_channels,
)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(
    classes: int = 0,
    mask: int = 1,
    *,
    semantic: bool = False,
    side: int = 32,
    factor: int = 1,
    filtered: bool = False,
) -> GeneratorNetwork:
    torch.manual_seed(0)
    mapping = MappingNetwork(16, 16, classes, 2)
    synthesis = SynthesisNetwork(side, factor, 16, 256, 16, 1, mask, classes=semantic, filtered=filtered)
    return GeneratorNetwork(mapping, synthesis)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_has_weights_of_its_own_for_each_image(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(3, 5, 3, 8, demodulate=demodulate)
    nn.init.normal_(layer.bias)
    x, w = torch.randn(4, 3, 9, 9), torch.randn(4, 8)
    found = layer(x, w)
    for image, style, out in zip(x, layer.affine(w), found, strict=True):
        weight = layer.conv.weight * layer.conv.scale * style[None, :, None, None]
        if demodulate:
            weight = 2**0.5 * weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        assert torch.allclose(F.conv2d(image[None], weight, layer.bias, padding=1)[0], out, atol=1e-5)


def test_twice_the_size_is_filtered_by_1_3_3_1() -> None:
    x = torch.randn(1, 1, 5, 6, generator=chance())
    spread = torch.zeros(1, 1, 10, 12)
    spread[:, :, ::2, ::2] = x
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    expected = F.conv2d(spread, torch.outer(line, line)[None, None], padding=2)[:, :, :10, :12]
    assert torch.allclose(upsample2x(x)[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], atol=1e-6)


def test_noise_is_one_plane_for_all_channels_and_comes_from_its_generator() -> None:
    torch.manual_seed(0)
    layer, x, w = SynthesisLayer(4, 6, 8), torch.randn(2, 4, 8, 8), torch.randn(2, 8)
    assert torch.equal(layer(x, w, chance(1)), layer(x, w, chance(2)))
    nn.init.constant_(layer.noise.strength, 0.5)
    without = layer.conv(x, w)
    noisy = without + 0.5 * torch.randn((2, 1, 8, 8), generator=chance(1))
    assert torch.allclose(layer(x, w, chance(1)), F.leaky_relu(noisy, 0.2), atol=1e-6)


def test_the_skip_path_has_the_widths_of_the_paper() -> None:
    assert skip_channels(5, 512) == [512, 384, 256, 192, 128]
    assert channels_by_resolution(512, 512, 16_384) == [512, 512, 512, 512, 256, 128, 64, 32]
    synthesis = SynthesisNetwork(16, 1, 512, 16_384, 8, 1, 1, classes=False)
    assert [tuple(take.conv.weight.shape[:2]) for take in synthesis.to_skip] == [(128, 512), (96, 384)]
    assert [tuple(merge.weight.shape[:2]) for merge in synthesis.merge] == [(384, 640), (256, 608)]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("side", "factor"), [(8, 1), (32, 1), (64, 2), (32, 4)])
def test_planes_have_the_side_whatever_the_factor_and_the_resampling(side: int, factor: int, filtered: bool) -> None:
    generator = network(mask=2, side=side, factor=factor, filtered=filtered)
    planes = generator(torch.randn(3, 16), torch.zeros(3, dtype=torch.long), chance())
    assert planes.shape == (3, 3, side, side)
    assert Discriminator(side, factor, 16, 256, 3, 0, 8, filtered=filtered)(planes).logit.shape == (3,)


def zeros_between(x: torch.Tensor) -> torch.Tensor:
    """Return planes of twice the size, with zeros between the pixels."""
    spread = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[:, :, ::2, ::2] = x
    return spread


@pytest.mark.parametrize("height", [6, 7])
def test_a_filtered_up_convolution_is_zeros_between_the_pixels_then_the_convolution_and_the_filter(height: int) -> None:
    """Worked out at the higher resolution; the weights are turned, as those of every transposed convolution."""
    torch.manual_seed(0)
    layer, x = EqualisedConv(2, 3, 3, resample="up"), torch.randn(1, 2, height, 9, generator=chance())
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    filtering = torch.outer(line, line).expand(3, 1, 4, 4)
    convolved = F.conv2d(zeros_between(x), (layer.weight * layer.scale).flip(2, 3), padding=2)
    expected = F.conv2d(convolved, filtering, groups=3)
    found = layer(x)
    assert found.shape == (1, 3, 2 * height, 18)
    assert torch.allclose(found[:, :, 2:-2, 2:-2], expected[:, :, 1:-2, 1:-2][:, :, : 2 * height - 4, :14], atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_filtered_down_convolution_is_every_second_pixel_of_the_filtered_planes_convolution(kernel: int) -> None:
    torch.manual_seed(0)
    layer, x = EqualisedConv(2, 3, kernel, bias=False, resample="down"), torch.randn(1, 2, 8, 10, generator=chance())
    filtered = filter_1331(x, padding=1 + kernel // 2)
    expected = F.conv2d(filtered, layer.weight * layer.scale)[:, :, ::2, ::2]
    assert layer(x).shape == (1, 3, 4, 5)
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_the_filter_keeps_what_is_constant() -> None:
    assert torch.allclose(filter_1331(torch.ones(1, 2, 8, 8), padding=0), torch.ones(1, 2, 5, 5))


@pytest.mark.parametrize("factor", [1, 2])
def test_the_mask_has_no_noise_that_the_image_knows_nothing_of(factor: int) -> None:
    z, none, generator = (
        torch.randn(1, 16, generator=chance()),
        torch.zeros(1, dtype=torch.long),
        network(factor=factor),
    )
    for name, parameter in generator.synthesis.named_parameters():
        if name.endswith("strength") and "head" in name:
            nn.init.constant_(parameter, 1.0)
    one, other = (generator(z, none, chance(seed)) for seed in (1, 2))
    assert not torch.allclose(one[:, 0], other[:, 0], atol=0.01)
    assert torch.equal(one[:, 1], other[:, 1])


def test_the_edge_is_no_frame() -> None:
    torch.manual_seed(0)
    flat = EqualisedConv(2, 3, 3, replicate=True)(torch.ones(1, 2, 6, 7))
    assert torch.allclose(flat, flat[:, :, 3:4, 3:4].expand_as(flat), atol=1e-6)
    assert not torch.allclose(EqualisedConv(2, 3, 3)(torch.ones(1, 2, 6, 7)), flat[:, :, 3:4, 3:4], atol=0.1)


def test_planes_of_classes_share_a_pixel_and_other_masks_stay_within_their_range() -> None:
    z, none = 3 * torch.randn(2, 16, generator=chance()), torch.zeros(2, dtype=torch.long)
    shares = (network(mask=3, semantic=True)(z, none, chance())[:, 1:] + 1) / 2
    assert torch.allclose(shares.sum(dim=1), torch.ones(2, 32, 32), atol=1e-5)
    assert network(mask=1)(z, none, chance())[:, 1].abs().max() <= 1
    assert network(mask=0)(z, none, chance()).shape[1] == 1


def test_two_z_share_the_layers_at_the_crossing() -> None:
    generator, none = network(), torch.zeros(2, dtype=torch.long)
    first, second = torch.randn(2, 2, 16, generator=chance())
    mixed = generator.styles(first, none, second, 3)
    assert torch.equal(mixed[:, :3], generator.styles(first, none)[:, :3])
    assert torch.equal(mixed[:, 3:], generator.styles(second, none)[:, 3:])


def test_the_class_and_z_change_the_style_and_the_length_of_z_does_not() -> None:
    mapping = network(classes=2).mapping
    z, classes = torch.randn(1, 16, generator=chance()), torch.tensor([0])
    assert torch.allclose(mapping(z, classes), mapping(5 * z, classes), atol=1e-5)
    assert not torch.allclose(mapping(z, classes), mapping(z, classes + 1), atol=1e-3)


def test_the_spread_is_taken_among_four_images() -> None:
    x = torch.zeros(8, 2, 4, 4)
    x[2] = 4.0  # images 0, 2, 4, 6 are a group: deviation of 0, 4, 0, 0
    found = minibatch_stddev(x)[:, 2]
    assert found[::2].flatten().tolist() == pytest.approx([3**0.5] * 64, abs=1e-3)
    assert found[1::2].abs().max() < 1e-3
    assert minibatch_stddev(x[:3]).shape == (3, 3, 4, 4)
