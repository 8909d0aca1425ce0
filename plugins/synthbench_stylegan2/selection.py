"""Selection of the best weights of a training by the distance of drawn patches to training patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from synthbench.metrics.frechet import frechet_distance
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench.types import Features

__all__ = ["BestWeights", "random_features"]

_WIDTHS = (16, 32, 48)
"""Channels of the untrained network whose features are compared."""


class BestWeights:
    """Keeps the weights whose drawn patches are nearest to the training patches.

    The paper selects by FID; here it is the Fréchet distance of `random_features`, which need no download. The
    distances of the image's features, and of image and mask together, are each divided by the distance of one half of
    the training patches from the other, and averaged: both count alike, and 1 is as near as training patches are to
    each other.

    Parameters
    ----------
    real
        Returns the training patches to compare with, ``(n, planes, H, W)``; called once.
    image_planes
        Planes of the image; the others are the mask's.

    Attributes
    ----------
    distance, last : float
        Smallest distance, and that of the last call.
    """

    def __init__(self, real: Callable[[], torch.Tensor], image_planes: int) -> None:
        self.distance = self.last = float("inf")
        self._weights: dict[str, torch.Tensor] = {}
        self._real, self._image_planes = real, image_planes
        self._references: list[_Reference] = []

    def update(self, drawn: torch.Tensor, network: nn.Module) -> None:
        """Compare drawn patches, ``(n, planes, H, W)``, and keep the network's weights if they are the best so far.

        Raises
        ------
        Diverged
            If a value isn't finite.
        """
        if not bool(drawn.isfinite().all()):
            raise Diverged("the network draws values that aren't finite; lower the learning rate")
        if not self._references:
            real = self._real()
            self._references = [_Reference(real, planes) for planes in sorted({self._image_planes, real.shape[1]})]
        self.last = float(np.mean([reference.distance(drawn) for reference in self._references]))
        if self.last < self.distance:
            self.distance = self.last
            self._weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def restore(self, network: nn.Module) -> None:
        """Load the best weights into a network, if there are any."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint keeps."""
        return {"distance": self.distance, "last": self.last, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.distance, self.last, self._weights = state["distance"], state["last"], dict(state["weights"])


class _Reference:
    """Features of the first planes of training patches."""

    def __init__(self, real: torch.Tensor, planes: int) -> None:
        features = random_features(real[:, :planes])
        self.planes, self.scale = planes, features.std(axis=0) + 1e-6
        self.real = features / self.scale
        self.real_vs_real = max(frechet_distance(self.real[::2], self.real[1::2]), 1e-6) if len(real) >= 4 else 1.0

    def distance(self, drawn: torch.Tensor) -> float:
        """Return the distance of drawn planes, ``(n, planes, H, W)``, relative to that of real from real."""
        features = random_features(drawn[:, : self.planes]) / self.scale
        return frechet_distance(features, self.real) / self.real_vs_real


@torch.no_grad()
def random_features(planes: torch.Tensor) -> Features:
    """Return features of planes ``(n, C, H, W)`` from an untrained network with fixed weights: ``(n, 192)`` float64.

    They are the mean and the standard deviation of each of the 96 channels of three layers.
    """
    random = torch.Generator().manual_seed(0)
    moments, x = [], planes
    for width in _WIDTHS:
        inputs = x.shape[1]
        weight = torch.randn((width, inputs, 3, 3), generator=random) / (9 * inputs) ** 0.5
        x = 2**0.5 * F.relu(F.conv2d(x, weight.to(x), stride=2, padding=1))
        moments += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
    features: Features = torch.cat(moments, dim=1).double().cpu().numpy()
    return features
