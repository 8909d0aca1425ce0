"""What is minimised: the logistic adversarial terms, D2D-CE, and the penalties R1 and path length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

PATH_DECAY = 0.01


def of_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the logistic loss of logits, ``(B,)`` each."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def of_generator(fake: torch.Tensor) -> torch.Tensor:
    """Return the non-saturating logistic loss."""
    return F.softplus(-fake).mean()


def d2d_ce(
    embedding: torch.Tensor, proxies: torch.Tensor, classes: torch.Tensor, margin: float, temperature: float
) -> torch.Tensor:
    """Return the data-to-data cross-entropy (ReACGAN; Kang et al. 2021, arXiv 2111.01118).

    An image is pulled to the proxy of its class until their cosine is m_p, and pushed off the images of other classes
    while their cosine is above m_n, which is 1 − m_p.

    Parameters
    ----------
    embedding
        ``(B, E)`` of length 1.
    proxies
        ``(classes, E)`` of length 1.
    classes
        ``(B,)`` int64.
    margin
        m_p.
    temperature
    """
    pull = ((embedding * proxies[classes]).sum(dim=1) - margin).clamp(max=0) / temperature
    push = (embedding @ embedding.T - (1 - margin)).clamp(min=0) / temperature
    push = push.masked_fill(classes[:, None] == classes, -math.inf)
    return (torch.logsumexp(torch.cat([pull[:, None], push], dim=1), dim=1) - pull).mean()


def r1(logit: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Return half the squared length of the logits' gradient by the planes that were judged (Mescheder et al. 2018).

    Parameters
    ----------
    logit
        ``(B,)``.
    planes
        ``(B, C, H, W)``, requiring a gradient.
    """
    (slope,) = torch.autograd.grad(logit.sum(), planes, create_graph=True)
    return 0.5 * slope.square().sum(dim=(1, 2, 3)).mean()


class PathLength:
    """Keeps the length of the step in the image the same for all steps in w (StyleGAN2, eq. 4).

    Attributes
    ----------
    mean : torch.Tensor
        The length so far, a moving average.
    """

    def __init__(self, device: torch.device) -> None:
        self.mean = torch.zeros((), device=device)

    def penalty(self, planes: torch.Tensor, styles: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return the squared difference to the mean length.

        Parameters
        ----------
        planes
            ``(B, C, H, W)``, drawn from `styles`.
        styles
            ``(B, n, latent)``.
        random
            On the device of the planes.
        """
        noise = torch.randn(planes.shape, generator=random, device=planes.device)
        along = (planes * noise).sum() / math.sqrt(planes.shape[2] * planes.shape[3])
        (slope,) = torch.autograd.grad(along, styles, create_graph=True)
        length = slope.square().sum(dim=2).mean(dim=1).sqrt()
        self.mean = self.mean.lerp(length.detach().mean(), PATH_DECAY)
        return (length - self.mean).square().mean()

    def state_dict(self) -> dict[str, Any]:
        """Return what is to be kept."""
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.mean = state["mean"].to(self.mean.device)
