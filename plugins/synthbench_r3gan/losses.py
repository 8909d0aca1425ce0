"""The relativistic loss and the gradient penalties of R3GAN (arXiv 2501.05441, eq. 2 and sec. 3)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

__all__ = ["discriminator_loss", "generator_loss", "gradient_penalty"]


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the mean of softplus(−(D(x) − D(G(z)))) over pairs of real and drawn patches, ``(B,)`` each."""
    return F.softplus(fake - real).mean()


def generator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the mean of softplus(−(D(G(z)) − D(x))) over pairs of real and drawn patches, ``(B,)`` each."""
    return F.softplus(real - fake).mean()


def gradient_penalty(scores: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Return the mean squared norm of the scores' gradient: R1 for real patches, R2 for drawn ones.

    Parameters
    ----------
    scores
        ``(B,)``.
    planes
        ``(B, C, H, W)``, which the scores were computed from, requiring a gradient.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), planes, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
