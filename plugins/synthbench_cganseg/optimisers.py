"""Adam for what draws, and for the discriminators, with their learning rates by step."""

from __future__ import annotations

import torch
from torch import nn

from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.schedules import linear_tail
from synthbench_cganseg.drawing import Drawing

__all__ = ["Optimisers"]

_MAPPING_LR_RATIO = 0.1


class Optimisers:
    """The optimisers of one training.

    Parameters
    ----------
    drawing
        Generator and discriminators.
    steps
        Of the training.
    beside
        Networks that are trained with the generator's optimiser.

    Attributes
    ----------
    g, d : torch.optim.Adam
        Of the generator, and of the discriminators.
    """

    def __init__(self, drawing: Drawing, steps: int, *beside: nn.Module) -> None:
        config = drawing.config
        self.steps = steps
        self.lr = resolved(config.lr)
        self.decays = bool(config.lr_decay)
        slow = drawing.generator.slow_parameters()
        is_slow = {id(parameter) for parameter in slow}
        every = [parameter for network in (drawing.generator, *beside) for parameter in network.parameters()]
        groups = [{"params": [parameter for parameter in every if id(parameter) not in is_slow], "lr_ratio": 1.0}]
        if slow:
            groups.append({"params": slow, "lr_ratio": _MAPPING_LR_RATIO})
        discriminators = list(drawing.discriminators.parameters())
        betas = (resolved(config.beta1), 0.999)
        self.g = torch.optim.Adam(groups, betas=betas)
        self.d = torch.optim.Adam([{"params": discriminators, "lr_ratio": resolved(config.d_lr_ratio)}], betas=betas)

    def set_rates(self, number: int) -> None:
        """Set the learning rates of a step."""
        factor = linear_tail(number, self.steps) if self.decays else 1.0
        for group in [*self.g.param_groups, *self.d.param_groups]:
            group["lr"] = self.lr * factor * group["lr_ratio"]
