"""Likeness of images in the features of a pretrained network, with weights from a local file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision import models

from synthbench.errors import ConfigError, PluginError, suggest
from synthbench.toolkit.training import weights

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of the five layers of VGG19; a network of fewer has the last of them."""


class Perceptual(nn.Module):
    """Weighted mean absolute difference of features, one layer per resolution; VGG19's are relu1_1 … relu5_1.

    Parameters
    ----------
    features
        The convolutional part of a torchvision network.
    mean, spread
        Of the network's training images, 0 … 1, three each.
    relative
        Divide a layer's difference by the mean size of the real image's features. The paper's weights are made for
        the sizes of VGG19's; with SqueezeNet's the term begins near 50, and drowns the others (this project's choice).
    """

    def __init__(self, features: nn.Sequential, mean: list[float], spread: list[float], *, relative: bool) -> None:
        super().__init__()
        self.relative = relative
        self.layers = first_of_each_resolution(features)
        self.features = features[: self.layers[-1] + 1].float().eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("spread", torch.tensor(spread)[:, None, None])

    def seen(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of images ``(B, 1 or 3, H, W)``, −1 … 1, by layer."""
        x = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.spread
        kept = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.layers:
                kept.append(x)
        return kept

    def forward(self, drawn: torch.Tensor, real: list[torch.Tensor]) -> torch.Tensor:
        """Compare images with the features of others."""
        terms = []
        for share, own, other in zip(SHARES[-len(real) :], self.seen(drawn), real, strict=True):
            term = share * functional.l1_loss(own.float(), other.float())
            terms.append(term / other.float().abs().mean().clamp(min=1e-6) if self.relative else term)
        return torch.stack(terms).sum()


def first_of_each_resolution(features: nn.Sequential) -> list[int]:
    """Return which layers give the first features of each resolution: a network's resolutions end at its poolings."""
    found, waiting = [], True
    for number, layer in enumerate(features):
        if isinstance(layer, nn.MaxPool2d):
            waiting = True
        elif waiting and not isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
            found.append(number)
            waiting = False
    return found


@dataclass(frozen=True)
class Choice:
    """Which network compares images.

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


def choose(wanted: str, path: Path | None) -> Choice:
    """Find the network that is wanted.

    Parameters
    ----------
    wanted
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
    if wanted == "off":
        if path is not None:
            raise ConfigError("perceptual is off beside perceptual_weights: name the network, like 'vgg19'")
        return Choice("off")
    known = [name for name in models.list_models(module=models) if name.startswith(("vgg", "alexnet", "squeezenet"))]
    if wanted not in known:
        raise ConfigError(f"perceptual: there is no {wanted!r}{suggest(wanted, known) or f'; there are {known}'}")
    file = _cached(wanted) if path is None else path.expanduser()
    if not file.is_file():
        where = f"; fetch {_published(wanted).url}, or give perceptual: off" if path is None else ""
        raise PluginError(f"no weights of {wanted} at {file}{where}")
    expected = file.stem.rsplit("-", 1)[-1] if path is None else ""
    return Choice(f"{wanted} sha256:{weights.sha256(file)}", wanted, file, expected)


def _published(architecture: str) -> Any:
    """Return torchvision's description of an architecture's published weights."""
    return models.get_model_weights(architecture).DEFAULT


def _cached(architecture: str) -> Path:
    return weights.torch_hub_folder() / _published(architecture).url.rsplit("/", 1)[-1]
