"""What watches over the training: the strength of the augmentation, and the choice of the best weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from synthbench.metrics.frechet import frechet_distance
from synthbench.toolkit.training.mode_collapse import Diverged

INTERVAL = 4
"""Steps from one change of p to the next."""
WIDTHS = (16, 32, 48)
"""Of the untrained network whose features are compared."""


class Adaptive:
    """The chance p of ADA and APA, led by how sure the discriminator is of real images (ADA, sec. 3.1: r_t).

    Attributes
    ----------
    p : float
        0 … 1.
    """

    def __init__(self, sure: float, rise: float) -> None:
        self.p = 0.0
        self._sure, self._rise = sure, rise
        self._signs: list[torch.Tensor] = []

    def update(self, logit: torch.Tensor) -> None:
        """Take in the logits of real images, ``(B,)``; every few steps p goes up or down by their mean sign."""
        self._signs.append(logit.detach().sign().mean())
        if len(self._signs) == INTERVAL:
            step = INTERVAL * self._rise
            self.p = min(1.0, max(0.0, self.p + (step if float(sum(self._signs)) / INTERVAL > self._sure else -step)))
            self._signs = []

    def state_dict(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return {"p": self.p, "signs": [float(sign) for sign in self._signs]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.p, self._signs = state["p"], [torch.tensor(sign) for sign in state["signs"]]


class Best:
    """Keeps the weights whose drawn patches are nearest to the training patches.

    The paper takes the FID; here it is the Fréchet distance of features of a small untrained network, the same for
    every training, so that no weights have to be downloaded (this project's choice). That of the image's features and
    that of image and mask together are each divided by what one half of the training patches has from the other, and
    averaged: neither drowns the other, and about 1 is as near as training patches are to each other.

    Parameters
    ----------
    real
        Gives the training patches to compare with, ``(n, planes, H, W)``; called once.
    channels
        Planes of the image; those after them are the mask's.

    Attributes
    ----------
    distance, last : float
        The smallest so far, and that of the last look.
    """

    def __init__(self, real: Callable[[], torch.Tensor], channels: int) -> None:
        self.distance = self.last = float("inf")
        self._weights: dict[str, torch.Tensor] = {}
        self._real, self._channels = real, channels
        self._views: list[_View] = []

    def look(self, drawn: torch.Tensor, network: nn.Module) -> None:
        """Compare drawn patches, ``(n, planes, H, W)``, and keep the network's weights if they are the best.

        Raises
        ------
        Diverged
            If a value isn't finite.
        """
        if not bool(drawn.isfinite().all()):
            raise Diverged("the network draws values that aren't finite; lower the learning rate")
        if not self._views:
            real = self._real()
            parts = {self._channels, real.shape[1]}
            self._views = [_View(real, planes) for planes in sorted(parts)]
        self.last = float(np.mean([view.distance(drawn) for view in self._views]))
        if self.last < self.distance:
            self.distance = self.last
            self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Give a network the best weights, if there have been any."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return {"distance": self.distance, "last": self.last, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.distance, self.last, self._weights = state["distance"], state["last"], dict(state["weights"])


class _View:
    """Features of the first planes of training patches, and how far those of drawn ones are from them."""

    def __init__(self, real: torch.Tensor, planes: int) -> None:
        found = features(real[:, :planes])
        self.planes, self.unit = planes, found.std(axis=0) + 1e-6
        self.real = found / self.unit
        self.floor = max(frechet_distance(self.real[::2], self.real[1::2]), 1e-6) if len(real) >= 4 else 1.0

    def distance(self, drawn: torch.Tensor) -> float:
        return frechet_distance(features(drawn[:, : self.planes]) / self.unit, self.real) / self.floor


@torch.no_grad()
def features(planes: torch.Tensor) -> np.ndarray:
    """Return what an untrained network sees in planes ``(n, C, H, W)``: means and deviations, ``(n, 2 · 96)``."""
    random = torch.Generator().manual_seed(0)
    found, x = [], planes
    for width in WIDTHS:
        inputs = x.shape[1]
        weight = torch.randn((width, inputs, 3, 3), generator=random) / (9 * inputs) ** 0.5
        x = 2**0.5 * F.relu(F.conv2d(x, weight.to(x), stride=2, padding=1))
        found += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
    return torch.cat(found, dim=1).double().cpu().numpy()
