"""What a segmenter adds to the losses of a step when a generator is trained together with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from synthbench.plugin.api import TrainingPartner
from synthbench.types import LabelMap

__all__ = ["partner_losses"]


def partner_losses(
    partner: TrainingPartner,
    step: int,
    channels: int,
    predictions: Callable[[], Sequence[LabelMap]],
    losses_of: Callable[[torch.Tensor], Mapping[str, torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """Return the segmenter's losses on the images that a partner draws, and the partner's own.

    Parameters
    ----------
    partner, step
    channels
        Of the images that the segmenter takes; grey ones are repeated.
    predictions
        Returns the label map, ``(H, W)``, that the segmenter finds in each real patch of the step.
    losses_of
        Returns the segmenter's losses on images ``(B, C, H, W)``, towards the targets of the step.
    """
    images = partner.draw(step, predictions)
    drawn = losses_of(images.expand(-1, channels, -1, -1))
    return {**{f"drawn_{name}": partner.drawn_weight * loss for name, loss in drawn.items()}, **partner.losses()}
