"""Losses: the logistic adversarial losses, D2D-CE, and the R1 and path-length penalties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

__all__ = ["PathLengthPenalty", "d2d_ce", "discriminator_loss", "generator_loss", "r1_penalty"]


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the logistic loss of logits, ``(B,)`` each."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Return the non-saturating logistic loss of logits, ``(B,)``."""
    return F.softplus(-fake).mean()


def d2d_ce(
    embedding: torch.Tensor, proxies: torch.Tensor, classes: torch.Tensor, m_p: float, temperature: float
) -> torch.Tensor:
    """Return the data-to-data cross-entropy (ReACGAN; Kang et al. 2021, arXiv 2111.01118).

    It increases the cosine of an image and the proxy of its class up to m_p, and decreases that of images of different
    classes down to m_n = 1 − m_p.

    Parameters
    ----------
    embedding
        ``(B, E)`` of length 1.
    proxies
        ``(classes, E)`` of length 1.
    classes
        ``(B,)`` int64.
    m_p
        Positive margin.
    temperature
        τ.
    """
    positive = ((embedding * proxies[classes]).sum(dim=1) - m_p).clamp(max=0) / temperature
    negative = (embedding @ embedding.T - (1 - m_p)).clamp(min=0) / temperature
    negative = negative.masked_fill(classes[:, None] == classes, -math.inf)
    return (torch.logsumexp(torch.cat([positive[:, None], negative], dim=1), dim=1) - positive).mean()


def r1_penalty(logit: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Return half the squared norm of the logits' gradient (R1 of Mescheder et al. 2018, with γ = 1).

    Parameters
    ----------
    logit
        ``(B,)``.
    planes
        ``(B, C, H, W)`` real images that the logits were computed from, requiring a gradient.
    """
    (gradient,) = torch.autograd.grad(logit.sum(), planes, create_graph=True)
    return 0.5 * gradient.square().sum(dim=(1, 2, 3)).mean()


class PathLengthPenalty:
    """Path-length regularisation (StyleGAN2, eq. 4).

    Parameters
    ----------
    device
    decay
        Weight of a new measurement in the moving average.

    Attributes
    ----------
    pl_mean : torch.Tensor
        Moving average of the path length.
    """

    def __init__(self, device: torch.device, decay: float) -> None:
        self.pl_mean = torch.zeros((), device=device)
        self.decay = decay

    def __call__(self, planes: torch.Tensor, ws: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return the squared difference of path lengths to their mean.

        Parameters
        ----------
        planes
            ``(B, C, H, W)``, drawn from `ws`.
        ws
            ``(B, num_ws, w_dim)``, requiring a gradient.
        random
            On the device of the planes.
        """
        noise = torch.randn(planes.shape, generator=random, device=planes.device)
        projection = (planes * noise).sum() / math.sqrt(planes.shape[2] * planes.shape[3])
        (gradient,) = torch.autograd.grad(projection, ws, create_graph=True)
        length = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.pl_mean = self.pl_mean.lerp(length.detach().mean(), self.decay)
        return (length - self.pl_mean).square().mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint keeps."""
        return {"pl_mean": self.pl_mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.pl_mean = state["pl_mean"].to(self.pl_mean.device)
