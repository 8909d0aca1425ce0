"""The perceptual term: which layers, with which weights, and where these come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from synthbench.errors import ConfigError, PluginError
from synthbench.toolkit.training import weights
from synthbench.toolkit.training.perceptual_loss import Perceptual, choose, first_of_each_resolution
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.generator import CGanSeg


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's SqueezeNet, random ones, in a file."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "any.safetensors"
    save_file(models.squeezenet1_0(weights=None).state_dict(), path)
    return path


def test_layers_of_vgg19_are_the_first_relu_of_each_block():
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, by torchvision's numbers."""
    with torch.device("meta"):
        assert first_of_each_resolution(models.vgg19(weights=None).features) == [1, 6, 11, 20, 29]
        features = models.vgg16_bn(weights=None).features
        found = first_of_each_resolution(features)
        assert [type(features[k]) for k in found] == [nn.ReLU] * 5
        assert len(first_of_each_resolution(models.squeezenet1_0(weights=None).features)) == 4


@pytest.mark.parametrize("relative", [False, True])
def test_the_perceptual_term_weighs_layers_as_the_paper_does(relative):
    torch.manual_seed(0)
    features = models.vgg11(weights=None).features
    network = Perceptual(features, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4], relative=relative)
    drawn, real = torch.rand(2, 1, 2, 32, 32).mul(2).sub(1).transpose(1, 2)
    expected = 0.0
    mean, std = torch.tensor([0.4, 0.5, 0.6])[:, None, None], torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    for layer, share in zip((1, 4, 7, 12, 17), (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), strict=True):
        a, b = (features[: layer + 1](((x.repeat(1, 3, 1, 1) + 1) / 2 - mean) / std) for x in (drawn, real))
        expected += share * float((a - b).abs().mean()) / (float(b.mean()) if relative else 1)
    assert float(network(drawn, network.features_of(real))) == pytest.approx(expected, rel=1e-5)
    assert float(network(real, network.features_of(real))) == 0


def test_other_channels_are_compared_one_by_one():
    torch.manual_seed(0)
    network = Perceptual(models.vgg11(weights=None).features, [0.4] * 3, [0.2] * 3, relative=False)
    drawn, real = torch.rand(2, 2, 4, 32, 32).mul(2).sub(1)
    each = [network(drawn[:, k : k + 1], network.features_of(real[:, k : k + 1])) for k in range(4)]
    assert float(network(drawn, network.features_of(real))) == pytest.approx(float(sum(each)) / 4, rel=1e-4)


def test_weights_are_taken_from_a_file_and_recorded(fitted, cycle, blob_set, squeezenet, tmp_path: Path):
    generator = fitted(blob_set, steps=2, perceptual="squeezenet1_0", perceptual_weights=squeezenet)
    generator.save(tmp_path)
    expected = f"squeezenet1_0 sha256:{weights.sha256(squeezenet)}"
    assert json.loads((tmp_path / "training.json").read_text())["perceptual"] == expected
    squeezed, plain = (
        cycle(blob_set, perceptual=name, perceptual_weights=path)[0]
        for name, path in (("squeezenet1_0", squeezenet), ("off", None))
    )
    kept = squeezed.perceptual.features.state_dict()
    original = models.squeezenet1_0(weights=None)
    original.load_state_dict(weights.read_state_dict(squeezenet))
    assert all(torch.equal(value, original.features.state_dict()[key]) for key, value in kept.items())
    assert plain.perceptual is None


def test_a_long_training_needs_vgg19_and_a_short_one_nothing(tmp_path: Path, monkeypatch):
    """What is trained follows from configuration and budget, not from what a machine happens to have."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    quick, paper = (CGanSegConfig().resolve(CGanSeg.budgets[name]).perceptual for name in ("quick", "paper"))
    assert (quick, paper) == ("off", "vgg19")
    assert choose("off", None).build(torch.device("cpu")) is None
    weights.torch_hub_folder().mkdir(parents=True)
    url = models.get_model_weights("vgg19").DEFAULT.url
    (weights.torch_hub_folder() / Path(url).name).write_bytes(b"cut off")
    with pytest.raises(PluginError, match="SHA-256"):
        choose("vgg19", None).build(torch.device("cpu"))


def test_a_long_training_asks_for_vgg19_before_it_begins(tmp_path: Path, monkeypatch, squeezenet):
    """Plans are refused, and keys know the weights; without a perceptual network there is nothing to ask for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    quick, paper = (CGanSegConfig().resolve(CGanSeg.budgets[name]) for name in ("quick", "paper"))
    assert quick.files() == {}
    with pytest.raises(PluginError, match="no weights of vgg19 at"):
        paper.files()
    own = CGanSegConfig(perceptual="squeezenet1_0", perceptual_weights=squeezenet)
    assert own.resolve(CGanSeg.budgets["paper"]).files() == {"perceptual": squeezenet}


def test_networks_without_weights_and_weights_without_network_are_refused(tmp_path: Path, monkeypatch, squeezenet):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(PluginError, match=r"no weights of vgg19 at .*https://.*perceptual: off"):
        choose("vgg19", None)
    with pytest.raises(PluginError, match="no weights of vgg19 at"):
        choose("vgg19", tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match="vgg19"):
        choose("vgg91", None)
    with pytest.raises(ConfigError, match="name the network"):
        choose("off", squeezenet)
    with pytest.raises(PluginError, match="not the weights of vgg11"):
        choose("vgg11", squeezenet).build(torch.device("cpu"))
