"""The training step of CycleGAN: one step of both networks, then one of both discriminators."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch

from synthbench.toolkit.generators.adversarial_training import descend
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.training.adversarial import ImagePool
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench_cyclegan.cycle import Cycle

__all__ = ["CycleGanTraining"]


class CycleGanTraining:
    """The optimisers of a cycle, the pools of earlier images and masks, and one training step.

    Parameters
    ----------
    cycle
    batches
        Masks and images that don't belong together.
    random
        Of the pools, on the CPU.
    """

    def __init__(self, cycle: Cycle, batches: ConditionedBatches, random: torch.Generator) -> None:
        config = cycle.config
        self.cycle = cycle
        self.batches = batches
        self.random = random
        self.lr = resolved(config.lr)
        self.pools = {name: ImagePool(config.pool_size, random) for name in ("image", "mask")}
        betas = (config.beta1, 0.999)
        networks = itertools.chain(cycle.to_image.parameters(), cycle.to_mask.parameters())
        self.opt_g = torch.optim.Adam(networks, self.lr, betas=betas)
        self.opt_d = torch.optim.Adam(cycle.discriminators.parameters(), self.lr, betas=betas)

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "generator": self.cycle.to_image,
            "to_mask": self.cycle.to_mask,
            "discriminators": self.cycle.discriminators,
            "opt_g": self.opt_g,
            "opt_d": self.opt_d,
            "noise": self.cycle.random,
            "pool_random": self.random,
            **{f"{name}_pool": pool for name, pool in self.pools.items()},
        }

    def step(self, number: int) -> dict[str, torch.Tensor]:
        for optimiser in (self.opt_g, self.opt_d):
            set_learning_rate(optimiser, self.lr * linear_tail(number, len(self.batches)))
        batch = self.batches[number]
        self.cycle.discriminators.requires_grad_(False)
        with autocast(batch.image.device):
            terms, fake = self.cycle.terms(batch)
        descend(self.opt_g, self.cycle.weighted(terms))

        self.cycle.discriminators.requires_grad_(True)
        earlier = {name: self.pools[name].exchange(planes) for name, planes in fake.items()}
        with autocast(batch.image.device):
            loss_d = self.cycle.discriminator_loss({"image": batch.image, "mask": batch.mask}, earlier)
        descend(self.opt_d, loss_d)
        return {**terms, "discriminators": loss_d}
