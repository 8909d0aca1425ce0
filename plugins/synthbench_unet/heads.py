"""Heads: for each kind of output, what the network is trained towards and how its planes become labels.

A head is a module without weights: called with logits and targets it gives the losses. All planes of a target are −1
where the label is unknown, and these pixels have no part in any loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from synthbench import Instances, Sample
from synthbench.errors import DataError
from synthbench.samples import IGNORED
from synthbench.toolkit.masks.distance import (
    DistanceDecoder,
    Thresholds,
    decode,
    decode_components,
    mean_foreground,
    normalised_distance,
)
from synthbench_unet.config import UNetConfig

SMOOTH = 1.0
"""Added above and below the line in soft Dice, in pixels: 1 on an image where nothing is, and nothing is found."""


class Head(ABC):
    """What the network's planes mean.

    Attributes
    ----------
    planes : int
        Channels of the network's output.
    activation : nn.Module
        Turns logits into what `decode` takes.
    grid : mapping
        Name of a threshold → values to try on the validation samples; empty where there is nothing to choose.
    """

    planes: int
    activation: nn.Module
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}

    def __init__(self, config: UNetConfig) -> None:
        self.config = config

    @abstractmethod
    def encode(self, sample: Sample) -> NDArray[Any]:
        """Return a sample's target planes, ``(T, H, W)``; −1 where the label is unknown."""

    @abstractmethod
    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the losses, to be added, of ``(B, planes, P, P)`` logits towards ``(B, T, P, P)`` targets.

        Each is a mean over the pixels of known label; 0 where there are none.
        """

    @abstractmethod
    def decode(self, planes: NDArray[Any], thresholds: Mapping[str, Any]) -> Instances:
        """Return the labels, and the scores of instances, of activated planes ``(planes, H, W)``."""

    def decoder(self, planes: NDArray[Any]) -> Callable[[Mapping[str, Any]], NDArray[Any]]:
        """Return thresholds → label map ``(H, W)`` of these planes, as `decode` has it, for many thresholds."""
        return lambda thresholds: self.decode(planes, thresholds).labels


class DistanceHead(Head):
    """Two planes: each instance's normalised distance, and the foreground."""

    planes = 2
    grid: ClassVar = {
        "foreground": (0.3, 0.4, 0.5, 0.6, 0.7),
        "valley": (0.05, 0.1, 0.15, 0.2, 0.3),
        "seed": (0.1, 0.2, 0.3, 0.4, 0.5),
        "area": (1, 8, 16, 32),
    }

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.activation = nn.Sigmoid()

    def encode(self, sample: Sample) -> NDArray[Any]:
        return _mark_unknown(
            np.stack([normalised_distance(sample.labels), sample.labels > 0]).astype(np.float16), sample
        )

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        distance, inside = targets.float().clamp(min=0).split(1, dim=1)
        known = (targets[:, 1:] >= 0).float()
        error = functional.mse_loss(logits[:, :1].sigmoid(), distance, reduction="none")
        weight = known * (1 + 4 * inside)
        return {
            "distance": 4 * self.config.distance_weight * _weighted_mean(error, weight),
            **foreground_losses(logits[:, 1:], inside, self.config.loss, known),
        }

    def decode(self, planes: NDArray[Any], thresholds: Mapping[str, Any]) -> Instances:
        labels = decode(planes[0], planes[1], Thresholds(**thresholds))
        return Instances(labels, mean_foreground(labels, planes[1]))

    def decoder(self, planes: NDArray[Any]) -> Callable[[Mapping[str, Any]], NDArray[Any]]:
        every = DistanceDecoder(planes[0], planes[1])
        return lambda thresholds: every.labels(Thresholds(**thresholds))


class BinaryHead(Head):
    """One plane: the foreground."""

    planes = 1
    grid: ClassVar = {"foreground": (0.3, 0.4, 0.5, 0.6, 0.7), "area": (1, 8, 16, 32)}

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.activation = nn.Sigmoid()

    def encode(self, sample: Sample) -> NDArray[Any]:
        return _mark_unknown((sample.labels[None] > 0).astype(np.float16), sample)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return foreground_losses(logits, targets.float().clamp(min=0), self.config.loss, (targets >= 0).float())

    def decode(self, planes: NDArray[Any], thresholds: Mapping[str, Any]) -> Instances:
        labels = decode_components(planes[0], Thresholds(**thresholds))
        return Instances(labels, mean_foreground(labels, planes[0]))


class SemanticHead(Head):
    """One plane a class."""

    def __init__(self, config: UNetConfig, classes: int) -> None:
        super().__init__(config)
        self.planes = classes
        self.activation = nn.Softmax(dim=1)

    def encode(self, sample: Sample) -> NDArray[Any]:
        highest = int(sample.labels.max())
        if highest >= self.planes:
            raise DataError(f"sample {sample.id!r}: its mask holds class {highest}; classes are 0 … {self.planes - 1}")
        return sample.marked[None].astype(np.int16 if self.planes <= 2**15 else np.int32)

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        known = (targets >= 0).float()
        one_hot = functional.one_hot(targets[:, 0].long().clamp(min=0), self.planes).movedim(-1, 1).float()
        losses = {"ce": _weighted_mean(-(one_hot * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True), known)}
        if self.config.loss == "ce+dice":
            losses["dice"] = dice_loss(logits.softmax(dim=1), one_hot, known)
        return losses

    def decode(self, planes: NDArray[Any], thresholds: Mapping[str, Any]) -> Instances:
        return Instances(planes.argmax(axis=0).astype(np.int32))


def head_for(config: UNetConfig, task: str, classes: int) -> Head:
    """Return the head of a task; `classes` counts for semantic ones alone."""
    if task == "semantic":
        return SemanticHead(config, classes)
    return DistanceHead(config) if config.decoding == "distance" else BinaryHead(config)


def default_thresholds(head: Head) -> dict[str, Any]:
    """Return the thresholds that a head begins with."""
    return {name: value for name, value in asdict(Thresholds()).items() if name in head.grid}


def foreground_losses(
    logits: torch.Tensor, inside: torch.Tensor, kind: str, known: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the losses of one plane of logits towards a mask of 0 and 1; `known` is 1 where the label is."""
    losses = {
        "ce": _weighted_mean(functional.binary_cross_entropy_with_logits(logits, inside, reduction="none"), known)
    }
    if kind == "ce+dice":
        losses["dice"] = dice_loss(logits.sigmoid(), inside, known)
    return losses


def dice_loss(probabilities: torch.Tensor, targets: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return 1 − soft Dice over the whole batch, mean over the K planes (Milletari 2016).

    Parameters
    ----------
    probabilities, targets
        ``(B, K, P, P)``.
    known
        ``(B, 1, P, P)``, 0 for pixels that have no part in it, else 1.
    """
    probabilities, targets = probabilities * known, targets * known
    intersection = (probabilities * targets).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + targets.sum(dim=(0, 2, 3))
    return 1 - ((2 * intersection + SMOOTH) / (total + SMOOTH)).mean()


def _weighted_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean; 0 where nothing has weight."""
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _mark_unknown(planes: NDArray[Any], sample: Sample) -> NDArray[Any]:
    """Return target planes with −1 where the sample's label is unknown."""
    return planes if sample.ignore is None else np.where(sample.ignore, planes.dtype.type(IGNORED), planes)
