"""The adaptive probability of augmentation (ADA; Karras et al. 2020, arXiv 2006.06676, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["AdaptiveProbability"]

_ADA_INTERVAL = 4
"""Optimiser steps between changes of p."""


class AdaptiveProbability:
    """The probability p of ADA and APA, controlled by r_t = E[sign(D(real))].

    Parameters
    ----------
    target
        p rises while r_t exceeds it, and else falls.
    change_per_step
        By how much p can change in an optimiser step.

    Attributes
    ----------
    p : float
        0 … 1.
    """

    def __init__(self, target: float, change_per_step: float) -> None:
        self.p = 0.0
        self._target, self._change_per_step = target, change_per_step
        self._signs: list[torch.Tensor] = []

    def update(self, logit: torch.Tensor) -> None:
        """Take the logits of real images, ``(B,)``, of an optimiser step; every 4 steps p changes."""
        self._signs.append(logit.detach().sign().mean())
        if len(self._signs) == _ADA_INTERVAL:
            change = _ADA_INTERVAL * self._change_per_step
            r_t = float(sum(self._signs)) / _ADA_INTERVAL
            self.p = min(1.0, max(0.0, self.p + (change if r_t > self._target else -change)))
            self._signs = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint keeps."""
        return {"p": self.p, "signs": [float(sign) for sign in self._signs]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.p, self._signs = state["p"], [torch.tensor(sign) for sign in state["signs"]]
