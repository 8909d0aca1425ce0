"""A generator that is trained together with a segmenter, as the segmenter sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthbench.types import LabelMap

__all__ = ["TrainingPartner"]


class TrainingPartner(ABC):
    """A generator in training, beside a segmenter in training, as in the cycle of cGAN-Seg (2024).

    A segmenter that supports it takes each of its steps so: it computes its losses on the real patches; it asks for the
    images of `draw`, and computes the same losses on these towards the same targets, times `drawn_weight`; it adds
    `losses`; it calls ``backward()`` once on the sum, steps its own optimiser, and calls `update`. The gradient of the
    losses on drawn images reaches the generator through the images.

    Attributes
    ----------
    drawn_weight : float
        Weight of the segmenter's losses on drawn images beside those on real ones.
    """

    drawn_weight: float = 1.0

    @property
    @abstractmethod
    def state(self) -> Mapping[str, Any]:
        """All that changes during training, by name; part of the segmenter's checkpoints."""

    @abstractmethod
    def draw(self, step: int, predictions: Callable[[], Sequence[LabelMap]]) -> Any:
        """Return images for the masks of a step's real patches, and keep what `losses` needs.

        Parameters
        ----------
        step
        predictions
            Returns what the segmenter finds in the real patches, ``(H, W)`` each; called if the generator needs it.

        Returns
        -------
        torch.Tensor
            ``(B, C, H, W)`` float32, scaled as `synthbench.toolkit.intensity.images.normalise` scales images, and
            augmented like the real patches; with gradients.
        """

    @abstractmethod
    def losses(self) -> Mapping[str, Any]:
        """Return the generator's other losses of this step, weighted, as scalar tensors."""

    @abstractmethod
    def update(self) -> Mapping[str, Any]:
        """Take the generator's optimiser steps after ``backward()``; return further losses for the log."""

    def preview(self, count: int) -> Any:
        """Return samples for the log of the training; see `synthbench.toolkit.training.training_log`."""
        return None
