"""InstanSeg's losses on the patches of the stream: with unknown pixels left out, and seeds drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

MAIN_LOSSES = {"seed_loss": "l1_distance", "binary_loss": "lovasz_hinge"}
HOT_LOSSES = {"seed_loss": "binary_xloss", "binary_loss": "dice_loss"}

OUTSIDE = -1e4
"""Logit of a pixel that is left out: of no instance, without a gradient, and without weight in either loss."""


class InstanceLoss:
    """The library's loss, image by image, with unknown pixels left out of both of its parts.

    The library leaves them out of the loss of the seeds, but counts them as background in that of the instances. There
    their logits are set to `OUTSIDE` here, which has the same effect as leaving them out: no pixel of theirs is in an
    instance, Dice sums over what is inside, and the Lovász hinge orders by errors, of which theirs is the smallest.

    Parameters
    ----------
    method
        The library's method; its functions are wrapped.
    """

    def __init__(self, method: Any) -> None:
        self.method = method
        self._unknown: torch.Tensor | None = None
        self._window: torch.Tensor | None = None
        gather = method.feature_engineering

        def remember(*args: Any) -> Any:
            self._window = args[-1]
            return gather(*args)

        method.feature_engineering = remember
        self._hot: bool | None = None
        self.use(hot=True)

    def use(self, *, hot: bool) -> None:
        """Choose the losses: those of the hot start, or the main ones."""
        if hot == self._hot:
            return
        self._hot = hot
        names = HOT_LOSSES if hot else MAIN_LOSSES
        self.method.update_seed_loss(names["seed_loss"])
        self.method.update_binary_loss(names["binary_loss"])
        compare: Callable[..., torch.Tensor] = self.method.binary_loss_fn

        def known_pixels(logits: torch.Tensor, instances: torch.Tensor, **options: Any) -> torch.Tensor:
            if self._unknown is not None and self._window is not None:
                rows, columns = self._window
                logits = logits.masked_fill(self._unknown[rows, columns].view_as(logits), OUTSIDE)
            return compare(logits, instances, **options)

        self.method.binary_loss_fn = known_pixels

    def __call__(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch.

        Parameters
        ----------
        output
            ``(B, 5, H, W)`` float32.
        labels
            ``(B, 1, H, W)`` integers: 0 is background, −1 unknown. An image of unknown pixels only, or without any
            background, has a loss of 0, as in the library.
        """
        return torch.stack([self._of_image(output[i : i + 1], labels[i : i + 1]) for i in range(len(output))]).mean()

    def _of_image(self, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        unknown = labels[0, 0] < 0
        self._unknown = unknown if bool(unknown.any()) else None
        loss: torch.Tensor = self.method(output, labels.clone())  # the library changes what it is given
        return loss.mean()
