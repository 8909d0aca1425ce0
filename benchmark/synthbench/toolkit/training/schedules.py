"""Learning-rate schedules for `torch.optim.lr_scheduler.LambdaLR`, and the moving average of a network's weights."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["Average", "averaged_model", "cosine", "linear_tail", "linear_warmup", "one_cycle", "set_learning_rate"]

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def one_cycle(step: int, steps: int, *, warm: float = 0.25, start: float = 0.04, end: float = 1e-4) -> float:
    """Return the factor of the learning rate at a step: up by a cosine, then down by one (Smith 2018).

    Parameters
    ----------
    step
        0 … steps − 1; beyond, the factor stays at `end`.
    steps
        Number of steps of the training.
    warm
        Fraction of the steps on the way up.
    start, end
        Factors at the first and the last step; 1 is the highest.
    """
    progress = min(1.0, step / max(1, steps - 1))
    if progress < warm:
        return start + (1 - start) * _half_cosine(progress / warm)
    return end + (1 - end) * (1 - _half_cosine((progress - warm) / (1 - warm)))


def linear_warmup(step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step: linearly up to 1 in the first `steps` steps, then 1."""
    return min(1.0, (step + 1) / max(1, steps))


def cosine(step: int, steps: int, *, end: float = 0.0) -> float:
    """Return the factor of the learning rate at a step: from 1 down to `end` by a cosine (Loshchilov & Hutter 2017)."""
    return end + (1 - end) * (1 - _half_cosine(min(1.0, step / max(1, steps - 1))))


def linear_tail(step: int, steps: int, *, flat: float = 0.5) -> float:
    """Return the factor of the learning rate at a step: 1 for the fraction `flat`, then linearly to 0 (pix2pix)."""
    return min(1.0, (steps - step) / max(1.0, steps * (1 - flat)))


def _half_cosine(fraction: float) -> float:
    """Return half a cosine wave from 0 to 1."""
    return (1 - math.cos(math.pi * fraction)) / 2


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Average(AveragedModel, Generic[NetworkT]):
    """A moving average of a network's weights; see `averaged_model`.

    Attributes
    ----------
    module : nn.Module
        The averaged network, of the same class as the network.
    """

    module: NetworkT


def averaged_model(network: NetworkT, decay: float = 0.999) -> Average[NetworkT]:
    """Return an exponential moving average of a network's weights; its buffers are copies of the network's.

    Call ``update_parameters(network)`` after each optimiser step. After step t = 0, 1, … the average keeps the
    fraction min(`decay`, (1 + t) / (10 + t)) of its former value. It starts at the network's weights, is in evaluation
    mode and takes no gradient; the averaged network is its attribute ``module``.

    Parameters
    ----------
    network
        It is copied, on its device.
    decay
        0 … 1.
    """

    @torch.no_grad()
    def update(averages: Any, weights: Any, _: Any) -> None:
        step = int(average.n_averaged) - 1  # kept on the CPU, so that reading it doesn't wait for a GPU
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + step) / (10 + step)))

    average: Average[NetworkT] = Average(network, multi_avg_fn=update)
    average.n_averaged.fill_(1)  # at 0, the first update would replace the initial weights
    average.eval().requires_grad_(False)
    return average
