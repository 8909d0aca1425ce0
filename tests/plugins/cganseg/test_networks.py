"""The networks: modulated convolutions, styles, pixel noise and attention are what the papers write down."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from synthbench.toolkit.intensity.conditioning import conditioning_planes
from synthbench_cganseg import networks
from synthbench_cganseg.layers import STYLE_DIM, mixed_noise
from synthbench_cganseg.microscopy import BilinearStyleUNet, DiscriminatorWithoutNorm, LinearAttention, ModulatedLayer
from synthbench_cganseg.networks import Discriminator, SegmentationUNet, StyleUNet


def test_modulated_convolution_is_that_of_weights_scaled_and_brought_to_unit_length():
    """The form of Karras et al. 2020, equations 1 to 3: a convolution per sample, its weights scaled, then divided."""
    torch.manual_seed(0)
    layer = ModulatedLayer(3, 5, "batch")
    x, style = torch.randn(2, 3, 6, 6), torch.randn(2, STYLE_DIM)
    drawn = layer(x, style, torch.Generator().manual_seed(1))
    noise = torch.randn((2, 1, 6, 6), generator=torch.Generator().manual_seed(1))
    for k in range(2):
        scaled = layer.weight * layer.scales(style[k])[None, :, None, None]
        scaled = scaled / (scaled.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        noisy = functional.conv2d(x[k : k + 1], scaled, padding=1) + layer.noise[:, None, None] * noise[k : k + 1]
        expected = functional.leaky_relu(noisy, 0.2) * math.sqrt(2)
        assert torch.allclose(drawn[k : k + 1], expected, atol=1e-5)


def test_styles_and_pixel_noise_change_the_image():
    torch.manual_seed(0)
    network = BilinearStyleUNet(2, 1, 4, 3, True).eval()
    mask, noise = torch.randn(1, 2, 32, 32), torch.randn(2, 6, STYLE_DIM)

    def drawn(style: int, seed: int) -> torch.Tensor:
        return network(mask, noise[style : style + 1], torch.Generator().manual_seed(seed))

    gap, spread = (drawn(0, 0) - drawn(1, 0)).std(), drawn(0, 0).std()
    assert gap > 0.01 * spread
    assert not torch.allclose(drawn(0, 0), drawn(0, 1), atol=1e-4)
    for layer in (*network.before, *network.after):
        nn.init.zeros_(layer.noise)
    assert torch.equal(drawn(0, 0), drawn(0, 1))


def test_without_styles_the_image_is_a_function_of_the_mask_alone():
    torch.manual_seed(0)
    network = BilinearStyleUNet(2, 1, 4, 3, False).eval()
    mask = torch.randn(1, 2, 32, 32)
    images = [network(mask, torch.randn(1, 6, STYLE_DIM), torch.Generator().manual_seed(k)) for k in range(2)]
    assert torch.equal(*images)


@pytest.mark.parametrize("architecture", [StyleUNet, BilinearStyleUNet])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 64), (33, 31)])
def test_both_generators_work_at_any_size(architecture, shape):
    network, segmenter = architecture(2, 3, 4, 4, True).eval(), SegmentationUNet(3, 2, 4).eval()
    image = network(torch.zeros(1, 2, *shape), torch.zeros(1, network.styles, STYLE_DIM), torch.Generator())
    assert image.shape == (1, 3, *shape)
    assert image.isfinite().all()
    assert segmenter(image.expand(-1, -1, *shape)).shape == (1, 2, *shape)


def test_styles_are_mixed_at_one_place_in_the_wanted_share_of_the_images():
    noise = mixed_noise(2000, 8, 0.9, torch.Generator().manual_seed(0))
    changes = (noise[:, 1:] != noise[:, :-1]).any(dim=-1).sum(dim=1)
    assert set(changes.tolist()) == {0, 1}
    assert float(changes.float().mean()) == pytest.approx(0.9, abs=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    assert (mixed_noise(9, 8, 0.0, torch.Generator()).diff(dim=1) == 0).all()


def test_linear_attention_is_the_weighted_mean_of_the_values():
    """Against the matrix of all places with all places, written out."""
    torch.manual_seed(0)
    layer = LinearAttention(6, 2, 3)
    x = torch.randn(1, 6, 3, 4)
    queries, keys, values = (part.reshape(2, 3, 12) for part in layer.to_qkv(x)[0].chunk(3))
    found = []
    for query, key, value in zip(queries, keys, values, strict=True):
        share = query.softmax(dim=0).T @ key.softmax(dim=1)
        assert torch.allclose(share.sum(dim=1), torch.ones(12))
        found.append((share @ value.T).T)
    expected = x + layer.to_out(torch.cat(found).reshape(1, 6, 3, 4))
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_the_discriminator_classifies_patches_and_sees_beyond_them():
    torch.manual_seed(0)
    network = DiscriminatorWithoutNorm(3, 8, 2, 4)
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 1, 14, 14)
    first = nn.Sequential(*list(network)[:3])
    point = torch.zeros(1, 3, 64, 64)
    point[..., 0, 0] = 9
    assert (first(point) - first(torch.zeros_like(point)))[..., -1, -1].abs().max() > 0


def test_the_first_images_are_the_blurred_object_intensities(cycle, blob_set):
    """So that no chance of the first weights draws objects darker than their background."""
    around, batch = cycle(blob_set)
    image, mask, intensities = batch.image, batch.mask, batch.intensities
    drawn = around.image_of(mask, intensities).detach()[:, 0]
    object_plane = conditioning_planes(mask, intensities, around.object_planes)[:, mask.shape[1]].numpy()
    blurred = np.stack([ndimage.gaussian_filter(plane, 1.5, mode="constant", truncate=2) for plane in object_plane])
    assert np.corrcoef(drawn.numpy().ravel(), blurred.ravel())[0, 1] > 0.9
    unconditioned = BilinearStyleUNet(2, 1, 4, 3, True)(mask, torch.randn(2, 6, STYLE_DIM), torch.Generator())
    assert 0 < float(unconditioned.detach().std()) < 0.5 * float(image.std())


def test_an_image_of_pixel_norms_is_the_same_in_training_and_drawing(cycle, blob_set):
    around, batch = cycle(blob_set, norm="pixel")
    mask, intensities = batch.mask, batch.intensities
    network = around.generator
    for layer in (*network.before, *network.after):
        nn.init.zeros_(layer.noise)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    seen, styles = conditioning_planes(mask, intensities, around.object_planes), torch.randn(2, 6, STYLE_DIM)
    images = [network.train(mode)(seen, styles, torch.Generator().manual_seed(0)) for mode in (True, False)]
    assert torch.equal(*images)
    assert torch.allclose(network(seen[:1], styles[:1], torch.Generator()), images[1][:1], atol=1e-5)


def test_the_published_generator_has_the_published_layers():
    """Encoder 64 … 512, bottleneck 1024, transposed convolutions, two modulated convolutions in each decoder block."""
    network = StyleUNet(1, 1, 64, 4, True)
    assert [block[0].out_channels for block in network.encoder] == [64, 128, 256, 512, 1024]
    assert [(up.in_channels, up.out_channels) for up in network.up] == [(1024, 512), (512, 256), (256, 128), (128, 64)]
    assert [tuple(block.first.weight.shape[:2]) for block in network.decoder] == [
        (512, 1024),
        (256, 512),
        (128, 256),
        (64, 128),
    ]
    assert (network.styles, len(network.mapping.weights)) == (4, 3)


def test_the_published_modulated_convolution_is_that_of_scaled_weights():
    torch.manual_seed(0)
    layer = networks.ModulatedConvolution(3, 5)
    x, style, noise = torch.randn(2, 3, 6, 6), torch.randn(2, STYLE_DIM), torch.rand(2, 1, 6, 6)
    images = layer(x, style, noise)
    for k in range(2):
        scaled = layer.weight * (layer.to_style(style[k]) + 1)[None, :, None, None]
        scaled = scaled * torch.rsqrt(scaled.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        added = layer.to_noise.weight[:, 0][:, None, None] * noise[k] + layer.to_noise.bias[:, None, None]
        expected = functional.leaky_relu(functional.conv2d(x[k : k + 1], scaled, padding=1) + added, 0.2)
        assert torch.allclose(images[k : k + 1], expected, atol=1e-5)


def test_the_published_mapping_normalises_noise_and_scales_its_weights():
    torch.manual_seed(0)
    mapping, noise = networks.Mapping(), torch.randn(2, 4, STYLE_DIM)
    expected = noise / noise.norm(dim=-1, keepdim=True)
    for weight, bias in zip(mapping.weights, mapping.biases, strict=True):
        expected = functional.leaky_relu(expected @ (0.1 * weight).T + 0.1 * bias, 0.2)
    assert torch.allclose(mapping(noise), expected, atol=1e-6)


def test_the_published_discriminator_has_norms_and_attention():
    network = Discriminator(3, 8, 2, 4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network) == 3
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 1, 14, 14)


def test_the_published_attention_is_written_out():
    """Queries over their planes, keys over the pixels, each query scaled; GELU before the projection."""
    torch.manual_seed(0)
    layer = networks.LinearAttention(6, 2, 3)
    x = torch.randn(1, 6, 3, 4)
    normalised = (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    keys, values = layer.to_kv(normalised)[0].chunk(2)
    heads = []
    for head in range(2):
        query, key, value = (planes.reshape(2, 3, 12)[head].T for planes in (layer.to_q(normalised)[0], keys, values))
        context = key.softmax(dim=0).T @ value
        heads.append((query.softmax(dim=-1) / math.sqrt(3) @ context).T)
    expected = x + layer.to_out(functional.gelu(torch.cat(heads)).reshape(1, 6, 3, 4))
    assert torch.allclose(layer(x), expected, atol=1e-5)
