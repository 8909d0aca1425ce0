"""The training of one network by one optimiser, from the seed or from trained weights, alone or with a partner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from synthbench.plugin.api import Context
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.finetuning import Finetuning

__all__ = ["train_network"]


def train_network(
    context: Context,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler,
    losses_of: Callable[[int], Mapping[str, torch.Tensor]],
    *,
    tuning: Finetuning | None = None,
    max_norm: float | None = None,
    average: AveragedModel | None = None,
) -> None:
    """Take the budget's steps, or resume them, and minimise the sum of the losses.

    The network is in training mode afterwards.

    Parameters
    ----------
    context
        Its partner, if there is one, steps after the network does; its losses are among those of `losses_of`, see
        `synthbench.toolkit.training.partner_losses`.
    network
    optimiser
        Of the network's parameters.
    schedule
        Steps after the optimiser.
    losses_of
        Number of a step → its losses by name.
    tuning
        Freezes the encoder in the first steps, as its configuration says.
    max_norm
        Gradients are clipped to this norm.
    average
        Moving average of the network's weights; it takes part in the checkpoints.
    """
    network.train()
    partner = context.partner

    def step(number: int) -> loop.Losses:
        if tuning is not None:
            tuning.freeze(number)
        losses = losses_of(number)
        optimiser.zero_grad(set_to_none=True)
        total: Any = sum(losses.values())
        total.backward()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), max_norm, foreach=True)
        optimiser.step()
        schedule.step()
        if average is not None:
            average.update_parameters(network)
        return losses if partner is None else {**losses, **partner.update()}

    state: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    if average is not None:
        state["average"] = average
    if partner is not None:
        state |= partner.state
    loop.train(context, state=state, step=step)
    if tuning is not None:
        tuning.release()
