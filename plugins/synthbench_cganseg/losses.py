"""The loss terms of cGAN-Seg: one function per term, without its weight."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["SMOOTH", "cross_entropy", "dice", "discriminator_loss", "half_l1", "lsgan"]

SMOOTH = 1.0
"""Pixels that are added to the numerator and to the denominator of Dice."""


def lsgan(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Mean squared distance of patch logits from 1 for real, or 0 for fake: LSGAN (Mao et al. 2017)."""
    logits = logits.float()
    return functional.mse_loss(logits, torch.full_like(logits, float(real)))


def discriminator_loss(logits_real: torch.Tensor, logits_fake: torch.Tensor) -> torch.Tensor:
    """Half the sum of the LSGAN losses of real and fake patches."""
    return (lsgan(logits_real, real=True) + lsgan(logits_fake, real=False)) / 2


def half_l1(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Half of the mean absolute difference of images: its weight in the published code is half the perceptual one's."""
    return functional.l1_loss(fake.float(), real) / 2


def cross_entropy(logits: torch.Tensor, mask: torch.Tensor, *, semantic: bool) -> torch.Tensor:
    """Mean cross-entropy of the planes of a mask.

    Parameters
    ----------
    logits
        ``(B, K, H, W)``.
    mask
        ``(B, K, H, W)``, 0 … 1.
    semantic
        Whether planes are classes, one of which each pixel has; otherwise each plane is binary by itself, and a
        distance is the probability that is asked for.
    """
    if semantic:
        return -(mask * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return functional.binary_cross_entropy_with_logits(logits, mask)


def dice(probabilities: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 − Dice, over the batch, mean of the planes; ``(B, K, H, W)`` both, 0 … 1.

    With squares in the denominator (Milletari et al. 2016), so that it is 0 where probabilities equal a soft mask.
    """
    intersection = (probabilities * mask).sum(dim=(0, 2, 3))
    total = (probabilities.square() + mask.square()).sum(dim=(0, 2, 3))
    return 1 - ((2 * intersection + SMOOTH) / (total + SMOOTH)).mean()
