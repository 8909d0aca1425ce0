"""The training of cGAN-Seg: Adam for generator and segmenter, Adam for the discriminators, one step of the cycle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.loop import autocast
from synthbench_cganseg.cycle import Cycle
from synthbench_cganseg.optimisers import Optimisers

__all__ = ["CGanSegTraining"]

_BATCH_NORM_BATCHES = 32


class CGanSegTraining:
    """The optimisers of a cycle, and one training step.

    Parameters
    ----------
    cycle
    batches
    """

    def __init__(self, cycle: Cycle, batches: ConditionedBatches) -> None:
        self.cycle = cycle
        self.batches = batches
        self.optimisers = Optimisers(cycle, len(batches), cycle.segmenter)
        for network in (cycle.segmenter, cycle.discriminators):
            network.train()

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "generator": self.cycle.generator,
            "segmenter": self.cycle.segmenter,
            "discriminators": self.cycle.discriminators,
            "noise": self.cycle.random,
            "opt_g": self.optimisers.g,
            "opt_d": self.optimisers.d,
        }

    def step(self, number: int) -> dict[str, torch.Tensor]:
        self.optimisers.set_rates(number)
        return self.cycle.step(self.batches[number], self.optimisers.g, self.optimisers.d)

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
