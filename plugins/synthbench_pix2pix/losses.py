"""What pix2pix minimises: an adversarial term, and weighted terms that compare the drawn image with the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

__all__ = ["Comparison", "Losses", "Term", "adversarial", "l1"]


class Comparison(Protocol):
    """Compares a drawn image with the real one, given the condition; all ``(B, planes, H, W)``. Returns a scalar."""

    def __call__(self, fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class Term:
    """A weighted comparison; its name is shown with the progress."""

    name: str
    weight: float
    compare: Comparison


def l1(fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference: L_L1 of Isola et al. 2017, equation 3."""
    return functional.l1_loss(fake, real)


def adversarial(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    """Mean cross-entropy of patch logits against all real, or all fake: L_cGAN of Isola et al. 2017, equation 1.

    Computed from logits, so that large ones keep a gradient, and infinite ones show as NaN.
    """
    logits = logits.float()
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class Losses:
    """The losses of both networks.

    Parameters
    ----------
    terms
        Beside the adversarial term, whose weight is 1.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)

    def generator(
        self, logits: torch.Tensor, fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the generator's loss, and its terms by name.

        Parameters
        ----------
        logits
            The discriminator's, of the fake image.
        fake, real
            ``(B, planes, H, W)``, −1 … 1.
        condition
            ``(B, mask_planes, H, W)``, 0 … 1.
        """
        terms = {"gan": adversarial(logits, real=True)}
        for term in self.terms:
            terms[term.name] = term.compare(fake.float(), real, condition)
        weights = {term.name: term.weight for term in self.terms}
        return sum((weights.get(name, 1.0) * value for name, value in terms.items()), torch.zeros(())), terms

    def discriminator(self, logits_real: torch.Tensor, logits_fake: torch.Tensor) -> torch.Tensor:
        """Return the discriminator's loss, halved as in section 3.3 of Isola et al., from its logits."""
        return (adversarial(logits_real, real=True) + adversarial(logits_fake, real=False)) / 2
