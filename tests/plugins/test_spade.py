"""SPADE: the mask scales the features at every resolution, hinge loss with features of two scales, TTUR."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.trainings import SmallGenerator, pixels, same_weights
from synthbench import Budget, Context, SampleSet
from synthbench.errors import ConfigError
from synthbench.plugin.api import LOG
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.training import checkpoints
from synthbench_spade import generator as generator_module
from synthbench_spade.config import SpadeConfig
from synthbench_spade.generator import Spade
from synthbench_spade.network import Spade as SpadeLayer
from synthbench_spade.network import SpadeBlock, SpadeGenerator

SMALL = {"ngf": 2, "nhidden": 4, "ndf": 4}


fitted = SmallGenerator(Spade, SMALL, steps=2)


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> Spade:
    return fitted(blob_set)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_what_was_saved_draws_the_same_bytes(trained, tmp_path: Path):
    trained.save(tmp_path)
    loaded = Spade.load(tmp_path, Context(seed=99))
    assert pixels(loaded, [2, 0]) == pixels(trained, range(3))[::-2]


def test_a_stopped_training_goes_on_to_the_same_weights(blob_set, tmp_path: Path):
    resumed = fitted.resumed(blob_set, tmp_path, at=2, steps=4)
    assert same_weights(fitted(blob_set, steps=4).network, resumed.network)


def test_the_generator_is_as_large_as_the_published_one():
    """NVlabs/SPADE, SPADEGenerator with 36 planes of labels and the most upsamplings."""
    with torch.device("meta"):
        assert parameters(SpadeGenerator(36, 3, 64, 128, "most", "batch")) == 93_570_659


@pytest.mark.parametrize(("num_upsampling", "smallest"), [("normal", 4), ("more", 2), ("most", 1)])
def test_the_generator_starts_at_a_small_size(num_upsampling, smallest):
    network = SpadeGenerator(2, 1, 2, 2, num_upsampling, "batch").eval()
    seen = []
    network.first.register_forward_hook(lambda _, given, found: seen.append(found.shape[2:]))
    assert network(torch.zeros(1, 2, 97, 128)).shape == (1, 1, 97, 128)
    assert seen == [(smallest, smallest)]


def test_the_discriminators_are_as_large_as_the_published_ones(blob_set, monkeypatch):
    """NVlabs/SPADE, MultiscaleDiscriminator for 36 planes of labels and a colour image: 5,601,410."""
    made = []

    def watched(*sizes, **kwargs):
        made.append((sizes, kwargs))
        return MultiscaleDiscriminator(*sizes, **kwargs)

    monkeypatch.setattr(generator_module, "MultiscaleDiscriminator", watched)
    generator = fitted(blob_set, steps=1)
    (((planes, _, n_layers), kwargs),) = made
    assert planes == generator.condition_planes + 1
    with torch.device("meta"):
        assert parameters(MultiscaleDiscriminator(39, 64, n_layers, **kwargs)) == 5_601_410


def test_a_normalisation_layer_scales_and_shifts_what_the_norm_leaves():
    """Equation 1 of Park et al. 2019, with the condition at the size of the features."""
    torch.manual_seed(0)
    layer = SpadeLayer(6, 3, 5, "instance")
    x, condition = torch.randn(2, 6, 4, 4), torch.randn(2, 3, 16, 16)
    hidden = functional.relu(functional.conv2d(condition[:, :, ::4, ::4], *layer.shared.parameters(), padding=1))
    gamma, beta = (functional.conv2d(hidden, *conv.parameters(), padding=1) for conv in (layer.gamma, layer.beta))
    mean, std = x.mean(dim=(2, 3), keepdim=True), (x.var(dim=(2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x, condition), (x - mean) / std * (1 + gamma) + beta)


def test_blocks_learn_a_shortcut_only_where_the_width_changes():
    assert not hasattr(SpadeBlock(4, 4, 2, 3, "batch"), "conv_s")
    block = SpadeBlock(8, 4, 2, 3, "batch")
    assert block.conv_0.out_channels == 4
    assert block.conv_s.bias is None


def test_a_mask_without_texture_has_the_features_of_its_condition_alone():
    """Where instance norm leaves nothing, the condition still draws: what SPADE was made for."""
    torch.manual_seed(0)
    network = SpadeGenerator(1, 1, 2, 4, "normal", "instance").eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    empty, full = (
        network.requires_grad_(False)(torch.full((1, 1, 64, 64), value))[0, 0, 20:-20, 20:-20] for value in (-1.0, 1.0)
    )
    assert float((empty - full).abs().mean()) > 0.01


def test_losses_are_the_published_ones(blob_set, tmp_path: Path, monkeypatch):
    """Hinge averaged over scales, not halved; features · 10; two steps on images that were drawn anew."""
    totals: list[float] = []
    features: list[list[list[torch.Tensor]]] = []

    def watched(*sizes, **kwargs):
        discriminator = MultiscaleDiscriminator(*sizes, **kwargs)
        discriminator.register_forward_hook(lambda _, given, found: features.append(found))
        return discriminator

    def backward(loss, *args, plain=torch.Tensor.backward, **kwargs):
        totals.append(float(loss.detach()))
        plain(loss, *args, **kwargs)

    monkeypatch.setattr(generator_module, "MultiscaleDiscriminator", watched)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    fitted(blob_set, steps=1, context={"folder": tmp_path})
    (row,) = [json.loads(line) for line in (tmp_path / LOG / "training.jsonl").read_text().splitlines()]
    first, second = ([[layer.detach().chunk(2) for layer in scale] for scale in scales] for scales in features)
    assert [len(scale) for scale in first] == [5, 5]
    gan = -sum(float(scale[-1][0].mean()) for scale in first) / 2
    matching = sum(float(functional.l1_loss(*layer)) for scale in first for layer in scale[:-1]) / 2
    assert (row["gan"], row["features"]) == (pytest.approx(gan, rel=1e-4), pytest.approx(matching, rel=1e-4))
    assert totals[0] == pytest.approx(gan + 10 * matching, rel=1e-4)
    wrong = [((1 + scale[-1][0]).clamp(min=0).mean(), (1 - scale[-1][1]).clamp(min=0).mean()) for scale in second]
    assert totals[1] == pytest.approx(sum(float(fake + real) for fake, real in wrong) / 2, rel=1e-4)
    assert not torch.equal(first[0][0][0], second[0][0][0])


def test_the_discriminators_learn_four_times_as_fast_and_both_slower_in_the_second_half(blob_set, tmp_path: Path):
    fitted(blob_set, steps=4, lr=2e-3, context={"folder": tmp_path})
    parts = checkpoints.read(tmp_path / "training.pt")["state"]
    for name, rate in (("opt_g", 1e-3), ("opt_d", 4e-3)):
        (group,) = parts[name]["param_groups"]
        assert (group["lr"], tuple(group["betas"])) == (pytest.approx(rate / 2), (0.0, 0.9))


def test_networks_see_boundaries_if_they_are_asked_to(trained, blob_set):
    labels = blob_set[0].labels
    assert trained.encode_mask(labels).shape[0] == 3
    without = fitted(blob_set, steps=1, instance_map=False)
    assert np.array_equal(without.encode_mask(labels), trained.encode_mask(labels)[:2])


@pytest.mark.parametrize("budget", ["standard", "paper"])
def test_a_long_training_is_the_papers_method(budget):
    config = SpadeConfig().resolve(Spade.budgets[budget])
    assert (config.preset, config.norm, config.noise_planes, config.lr_decay) == ("paper", "batch", 0, False)
    assert (config.ngf, config.nhidden, config.num_upsampling_layers) == (64, 128, "normal")
    assert (config.ndf, config.n_layers_d, config.num_d) == (64, 4, 2)
    assert (config.lambda_feat, config.lambda_vgg, config.perceptual) == (10, 10, "vgg19")
    assert (config.intensity_conditioning, config.texture) == (False, False)
    assert (config.lr, config.beta1, config.beta2) == (2e-4, 0, 0.9)


def test_a_short_training_has_this_projects_additions():
    config = SpadeConfig().resolve(Spade.budgets["quick"])
    assert (config.preset, config.noise_planes, config.lr_decay) == ("microscopy", 1, True)
    assert (config.intensity_conditioning, config.pixel_noise, config.texture) == (True, True, True)
    assert (config.perceptual, config.files()) == ("off", {})


def test_patches_that_are_too_small_are_refused(blob_set):
    with pytest.raises(ConfigError, match="64 or more"):
        SpadeConfig(num_upsampling_layers="more").resolve(Budget(2, 2, 32))
    with pytest.raises(ConfigError, match="64 or more"):
        SpadeConfig().resolve(Budget(2, 1, 32))
    with pytest.raises(ConfigError, match="norm: instance"):
        SpadeConfig(norm="instance").resolve(Budget(2, 2, 32))
    assert SpadeConfig().resolve(Budget(2, 1, 64)).norm == "instance"
