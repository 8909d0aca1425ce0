"""What watches over the training: the strength of the augmentation, and the choice of the best weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from synthbench.metrics.frechet import frechet_distance

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
    every training, so that no weights have to be downloaded (this project's choice). It sees image and mask.

    Parameters
    ----------
    real
        Gives the training patches to compare with, ``(n, planes, H, W)``; called once.

    Attributes
    ----------
    distance : float
        The smallest so far.
    """

    def __init__(self, real: Callable[[], torch.Tensor]) -> None:
        self.distance = float("inf")
        self._weights: dict[str, torch.Tensor] = {}
        self._real = real
        self._features: np.ndarray | None = None

    def look(self, drawn: torch.Tensor, network: nn.Module) -> float:
        """Compare drawn patches, keep the network's weights if they are the best, and return their distance."""
        if self._features is None:
            self._features = features(self._real())
        distance = frechet_distance(features(drawn), self._features)
        if distance < self.distance:
            self.distance = distance
            self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return distance

    def restore(self, network: nn.Module) -> None:
        """Give a network the best weights, if there have been any."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return {"distance": self.distance, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.distance, self._weights = state["distance"], dict(state["weights"])


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
