"""The training of cGAN-Seg: Adam for generator and segmenter, Adam for the discriminators, one step of the cycle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.schedules import linear_tail
from synthbench_cganseg.cycle import Cycle

__all__ = ["CGanSegTraining"]

_MAPPING_LR_RATIO = 0.1
_BATCH_NORM_BATCHES = 32


class CGanSegTraining:
    """The optimisers of a cycle, and one training step.

    Parameters
    ----------
    cycle
    batches
    """

    def __init__(self, cycle: Cycle, batches: ConditionedBatches) -> None:
        config = cycle.config
        self.cycle = cycle
        self.batches = batches
        self.lr = resolved(config.lr)
        slow = cycle.generator.slow_parameters()
        is_slow = {id(parameter) for parameter in slow}
        fast = [p for p in (*cycle.generator.parameters(), *cycle.segmenter.parameters()) if id(p) not in is_slow]
        groups = [{"params": fast, "lr_ratio": 1.0}]
        if slow:
            groups.append({"params": slow, "lr_ratio": _MAPPING_LR_RATIO})
        discriminators = [{"params": list(cycle.discriminators.parameters()), "lr_ratio": resolved(config.d_lr_ratio)}]
        betas = (resolved(config.beta1), 0.999)
        self.opt_g = torch.optim.Adam(groups, betas=betas)
        self.opt_d = torch.optim.Adam(discriminators, betas=betas)
        for network in (cycle.segmenter, cycle.discriminators):
            network.train()

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "generator": self.cycle.generator,
            "segmenter": self.cycle.segmenter,
            "discriminators": self.cycle.discriminators,
            "noise": self.cycle.random,
            "opt_g": self.opt_g,
            "opt_d": self.opt_d,
        }

    def step(self, number: int) -> dict[str, torch.Tensor]:
        factor = linear_tail(number, len(self.batches)) if self.cycle.config.lr_decay else 1.0
        for group in [*self.opt_g.param_groups, *self.opt_d.param_groups]:
            group["lr"] = self.lr * factor * group["lr_ratio"]
        return self.cycle.step(self.batches[number], self.opt_g, self.opt_d)

    @torch.no_grad()
    def measure_batch_norms(self) -> None:
        """Measure the statistics of the generator's batch norms anew, on real masks alone.

        In training they see the masks of the segmenter, too. The generator must be in training mode.
        """
        norms = [module for module in self.cycle.generator.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for number in range(min(len(self.batches), _BATCH_NORM_BATCHES) if norms else 0):
            batch = self.batches[number]
            with autocast(batch.image.device):
                self.cycle.image_of(batch.mask, batch.intensities)
