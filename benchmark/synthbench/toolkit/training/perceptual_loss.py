"""Perceptual loss: the difference of images in the features of a pretrained network, with weights from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torchvision import models

from synthbench.errors import ConfigError, PluginError, suggest
from synthbench.plugin.api import Config
from synthbench.toolkit.training import weights

__all__ = [
    "LAYER_WEIGHTS",
    "Perceptual",
    "PerceptualConfig",
    "PerceptualNetwork",
    "choose",
    "first_of_each_resolution",
]

LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of the five layers of VGG19; a network with fewer layers gets the last of them."""


class PerceptualConfig(Config):
    """Base of the configuration of a method with a perceptual loss."""

    perceptual: str | None = Field(
        None,
        description="network of the perceptual loss by its torchvision name, vgg19 in the paper: a VGG, AlexNet or "
        "SqueezeNet; off: none",
    )
    perceptual_weights: Path | None = Field(
        None,
        description="weights of that network, safetensors or a torch checkpoint; by default the file in torchvision's "
        "cache",
    )

    def files(self) -> Mapping[str, Path]:
        """Return the weights of the network that compares images."""
        path = self.perceptual_network().path
        return {"perceptual": path} if path else {}

    def perceptual_network(self) -> PerceptualNetwork:
        """Return the network that compares images; see `choose`."""
        return choose(self.perceptual or "off", self.perceptual_weights)


class Perceptual(nn.Module):
    """Weighted mean absolute difference of features, one layer per resolution; VGG19's are relu1_1 … relu5_1.

    Parameters
    ----------
    features
        The convolutional part of a torchvision network.
    mean, std
        Of the network's training images, 0 … 1, three each.
    relative
        Whether a layer's difference is divided by the mean absolute feature of the real image (an addition of this
        project), because the layer weights suit the magnitudes of VGG19's features alone.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: nn.Sequential, mean: list[float], std: list[float], *, relative: bool) -> None:
        super().__init__()
        self.relative = relative
        self.layers = first_of_each_resolution(features)
        self.features = features[: self.layers[-1] + 1].float().eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def features_of(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of images ``(B, C, H, W)``, −1 … 1, by layer.

        Of images that aren't grey or RGB, each channel is an image by itself.
        """
        if images.shape[1] not in (1, 3):
            images = images.flatten(0, 1)[:, None]
        x = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.std
        features = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.layers:
                features.append(x)
        return features

    def forward(self, fake: torch.Tensor, real: list[torch.Tensor]) -> torch.Tensor:
        """Compare images with the features of others."""
        terms = []
        for weight, own, other in zip(LAYER_WEIGHTS[-len(real) :], self.features_of(fake), real, strict=True):
            term = weight * functional.l1_loss(own.float(), other.float())
            terms.append(term / other.float().abs().mean().clamp(min=1e-6) if self.relative else term)
        return torch.stack(terms).sum()


def first_of_each_resolution(features: nn.Sequential) -> list[int]:
    """Return which layers give the first features of each resolution: a network's resolutions end at its poolings."""
    indices, is_first = [], True
    for number, layer in enumerate(features):
        if isinstance(layer, nn.MaxPool2d):
            is_first = True
        elif is_first and not isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            indices.append(number)
            is_first = False
    return indices


@dataclass(frozen=True)
class PerceptualNetwork:
    """Which network compares images, and the file with its weights.

    Attributes
    ----------
    name : str
        The network and its weights, or ``off``.
    architecture : str
        Empty for none.
    path : Path or None
    expected : str
        What the SHA-256 of the file begins with, if it is a published one.
    """

    name: str
    architecture: str = ""
    path: Path | None = None
    expected: str = ""

    def build(self, device: torch.device) -> Perceptual | None:
        """Return the network, or None; raise `PluginError` if the file can't be read or holds another's weights."""
        if self.path is None:
            return None
        tensors = weights.read_state_dict(self.path, self.expected)
        own = {key.removeprefix("features."): value for key, value in tensors.items() if key.startswith("features.")}
        with torch.device("meta"):
            features = models.get_model(self.architecture, weights=None).features
        try:
            features.load_state_dict(own, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise PluginError(f"{self.path}: not the weights of {self.architecture}: {reason}") from None
        how = _published(self.architecture).transforms()
        return Perceptual(features, how.mean, how.std, relative=self.architecture != "vgg19").to(device)


def choose(name: str, path: Path | None) -> PerceptualNetwork:
    """Return the network of a name.

    Parameters
    ----------
    name
        ``"off"``, or a torchvision classifier made of one stack of convolutions: VGG, AlexNet, SqueezeNet.
    path
        Its weights; by default the file that torchvision would download, where torchvision would put it.

    Raises
    ------
    ConfigError
        If there is no such network, or a file is given without saying of what.
    PluginError
        If its weights are missing.
    """
    if name == "off":
        if path is not None:
            raise ConfigError("perceptual_weights has no effect with perceptual: off; name the network, like 'vgg19'")
        return PerceptualNetwork("off")
    known = [model for model in models.list_models(module=models) if model.startswith(("vgg", "alexnet", "squeezenet"))]
    if name not in known:
        raise ConfigError(f"perceptual: there is no {name!r}{suggest(name, known) or f'; there are {known}'}")
    file = _cached(name) if path is None else path.expanduser()
    if not file.is_file():
        where = f"; fetch {_published(name).url}, or give perceptual: off" if path is None else ""
        raise PluginError(f"no weights of {name} at {file}{where}")
    expected = file.stem.rsplit("-", 1)[-1] if path is None else ""
    return PerceptualNetwork(f"{name} sha256:{weights.sha256(file)}", name, file, expected)


def _published(architecture: str) -> Any:
    """Return torchvision's description of an architecture's published weights."""
    return models.get_model_weights(architecture).DEFAULT


def _cached(architecture: str) -> Path:
    url: str = _published(architecture).url
    return weights.torch_hub_folder() / url.rsplit("/", 1)[-1]
