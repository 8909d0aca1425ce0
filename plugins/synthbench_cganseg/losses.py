"""What the networks of cGAN-Seg minimise: one function per term, without its weight."""

from __future__ import annotations

import torch
from torch.nn import functional

SMOOTH = 1.0
"""Pixels that are added to both sides of Dice's fraction."""


def verdict(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Mean squared distance of patch logits from one verdict: LSGAN (Mao et al. 2017)."""
    logits = logits.float()
    return functional.mse_loss(logits, torch.full_like(logits, float(real)))


def judged(of_real: torch.Tensor, of_fake: torch.Tensor) -> torch.Tensor:
    """A discriminator's loss from its logits, halved."""
    return (verdict(of_real, real=True) + verdict(of_fake, real=False)) / 2


def absolute(drawn: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Half of the mean absolute difference of images, as the published code weighs it."""
    return functional.l1_loss(drawn.float(), real) / 2


def cross_entropy(logits: torch.Tensor, mask: torch.Tensor, *, semantic: bool) -> torch.Tensor:
    """Mean cross-entropy of the planes of a mask.

    Parameters
    ----------
    logits
        ``(B, K, H, W)``.
    mask
        ``(B, K, H, W)``, 0 … 1. Classes, of which each pixel has one; else each plane by itself, and a distance is
        the share that it asks for.
    """
    if semantic:
        return -(mask * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return functional.binary_cross_entropy_with_logits(logits, mask)


def dice(shares: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 − Dice, over the batch, mean of the planes; ``(B, K, H, W)`` both, 0 … 1.

    With squares below the fraction (Milletari et al. 2016), so that it is 0 where a plane of shares is the mask's.
    """
    both = (shares * mask).sum(dim=(0, 2, 3))
    either = (shares.square() + mask.square()).sum(dim=(0, 2, 3))
    return 1 - ((2 * both + SMOOTH) / (either + SMOOTH)).mean()
