"""The training step: predict what the process asks for, at random times (Ho et al. 2020, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.optim.lr_scheduler import LambdaLR

from synthbench.toolkit.generators.diffusion_processes import DiffusionProcess
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.schedules import averaged_model, linear_warmup, one_cycle
from synthbench_diffusion.config import DenoisingConfig
from synthbench_diffusion.network import Denoiser

__all__ = ["DiffusionTraining", "drop_conditions"]

_WARMUP_STEPS = 5000


class DiffusionTraining:
    """Network, average, optimiser and random numbers of a training, and its step.

    Parameters
    ----------
    config
        Resolved.
    network
        On the device that trains.
    process
    examples
        Step → clean planes ``(B, planes, H, W)``, and the conditions ``(B, K, H, W)`` or None.
    steps
        Number of steps of the training.
    image_planes
        Planes of the image; the others, if any, are the mask's.
    random
        On the device; draws timesteps, noise, and omitted conditions.
    """

    def __init__(
        self,
        config: DenoisingConfig,
        network: Denoiser,
        process: DiffusionProcess,
        examples: Callable[[int], tuple[torch.Tensor, torch.Tensor | None]],
        *,
        steps: int,
        image_planes: int,
        random: torch.Generator,
    ) -> None:
        self.config, self.network, self.process, self.examples = config, network, process, examples
        self.image_planes, self.random = image_planes, random
        self.average = averaged_model(network, resolved(config.ema_decay))
        self.optimiser = torch.optim.Adam(network.parameters(), resolved(config.learning_rate))
        self.schedule = LambdaLR(
            self.optimiser,
            lambda number: (
                linear_warmup(number, _WARMUP_STEPS) if config.lr_schedule == "warmup" else one_cycle(number, steps)
            ),
        )

    @property
    def state(self) -> Mapping[str, State]:
        return {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "random": self.random,
        }

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""
        x_0, condition = self.examples(number)
        device = x_0.device
        if condition is not None:
            condition = drop_conditions(condition, resolved(self.config.cond_drop_prob), self.random)
        t = self.process.draw_times(len(x_0), self.random)
        noise = torch.randn(x_0.shape, generator=self.random, device=device)
        with loop.autocast(device):
            prediction = self.network(self.process.q_sample(x_0, noise, t), t, condition)
        errors = self.process.loss_weights(t) * (prediction.float() - self.process.target(x_0, noise, t)) ** 2
        losses = {"image": errors[:, : self.image_planes].mean()}
        if x_0.shape[1] > self.image_planes:
            losses["mask"] = self.config.mask_weight * errors[:, self.image_planes :].mean()
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return losses


def drop_conditions(condition: torch.Tensor, probability: float, random: torch.Generator) -> torch.Tensor:
    """Return conditions ``(B, K, H, W)``, each replaced by zeros with the given probability."""
    kept = torch.rand(len(condition), generator=random, device=condition.device) >= probability
    return condition * kept[:, None, None, None]
