"""DeepSea's losses: cross-entropy of both heads, and soft Dice of the cells."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from synthbench.samples import IGNORED

__all__ = ["EPSILON", "segmentation_losses", "soft_dice_loss"]

EPSILON = 1e-6
"""Added above and below the line in soft Dice, as in the published code."""


def segmentation_losses(
    cells: torch.Tensor, edges: torch.Tensor, targets: torch.Tensor, edge_weight: float = 5.0
) -> dict[str, torch.Tensor]:
    """Return the losses, to be added.

    Parameters
    ----------
    cells, edges
        Logits of the two heads, ``(B, 2, H, W)`` float.
    targets
        ``(B, 2, H, W)`` integers, as `synthbench_deepsea.targets.encode` gives them; pixels with −1 have no part in any
        loss, and without others each is 0.
    edge_weight
        Weight of the edges' cross-entropy.

    Returns
    -------
    dict
        ``cells`` and ``edges``, cross-entropies; ``dice``, soft Dice loss of the cells.
    """
    inside, between = targets.long().unbind(dim=1)
    return {
        "cells": _cross_entropy(cells, inside),
        "edges": edge_weight * _cross_entropy(edges, between),
        "dice": soft_dice_loss(cells, inside),
    }


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return 1 − soft Dice over the whole batch, mean over the classes; 0 where no label is known.

    Parameters
    ----------
    logits
        ``(B, K, H, W)`` float.
    target
        ``(B, H, W)`` classes; −1 for unknown.
    """
    known = (target != IGNORED)[:, None].to(logits.dtype)
    one_hot = F.one_hot(target.clamp(min=0), logits.shape[1]).movedim(-1, 1).to(logits.dtype) * known
    shares = logits.softmax(dim=1) * known
    common, total = (shares * one_hot).sum(dim=(0, 2, 3)), (shares + one_hot).sum(dim=(0, 2, 3))
    return 1 - ((2 * common + EPSILON) / (total + EPSILON)).mean()


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    total = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum")
    return total / (target != IGNORED).sum().clamp(min=1)
