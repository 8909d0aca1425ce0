"""Learning-rate schedules and weight averages, free of hidden state: what they do depends on the step alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def one_cycle(step: int, steps: int, *, warm: float = 0.25, start: float = 0.04, end: float = 1e-4) -> float:
    """Return the factor of the learning rate at a step: up by a cosine, then down by one (Smith 2018).

    Parameters
    ----------
    step
        0 … steps − 1.
    steps
    warm
        Share of the steps on the way up.
    start, end
        Factors at the first and the last step; 1 is the top.
    """
    progress = step / max(1, steps - 1)
    if progress < warm:
        return start + (1 - start) * _half_cosine(progress / warm)
    return end + (1 - end) * (1 - _half_cosine((progress - warm) / (1 - warm)))


def cosine(step: int, steps: int, *, end: float = 0.0) -> float:
    """Return the factor of the learning rate at a step: from 1 down to `end` by a cosine (Loshchilov 2017)."""
    return end + (1 - end) * (1 - _half_cosine(step / max(1, steps - 1)))


def linear_tail(step: int, steps: int, *, flat: float = 0.5) -> float:
    """Return the factor of the learning rate at a step: 1 for the share `flat`, then linearly towards 0 (pix2pix)."""
    return min(1.0, (steps - step) / max(1.0, steps * (1 - flat)))


def _half_cosine(share: float) -> float:
    """From 0 to 1, gently at both ends."""
    return (1 - math.cos(math.pi * share)) / 2


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Ema:
    """An exponential moving average of a network's weights; its buffers are copied.

    Parameters
    ----------
    network
        Copied; the copy, `module`, is in evaluation mode and takes no gradient.
    decay
        Share of the average that stays at each update; less in the first steps, where it is (1 + t) / (10 + t).

    Attributes
    ----------
    module : nn.Module
        The averaged network.
    """

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self._averaged: list[torch.Tensor] = list(self.module.parameters())
        self._live: list[torch.Tensor] = list(network.parameters())
        self._buffers = list(zip(self.module.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the network's weights as they are after step number `step`."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._live, weight)
        for mine, theirs in self._buffers:
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged network's state."""
        return self.module.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.module.load_state_dict(state)
