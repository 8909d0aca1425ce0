"""The training step: predict what the process asks for, at random times (Ho et al. 2020, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.optim.lr_scheduler import LambdaLR

from synthbench.toolkit.generators.diffusion_processes import DiffusionProcess
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.schedules import averaged_model, linear_warmup, one_cycle
from synthbench_diffusion.config import DenoisingConfig
from synthbench_diffusion.network import Denoiser

if TYPE_CHECKING:
    from synthbench_diffusion.conditional import ConditionalDiffusion
    from synthbench_diffusion.joint import JointDiffusion

__all__ = ["DiffusionTraining", "Examples", "drop_conditions", "training_of"]

_WARMUP_STEPS = 5000


@dataclass(frozen=True)
class Examples:
    """The training patches of a step.

    Attributes
    ----------
    planes : torch.Tensor
        Clean planes, ``(B, planes, H, W)``.
    condition : torch.Tensor or None
        ``(B, K, H, W)``.
    values : torch.Tensor or None
        Index of the value of each group that the network is conditioned on, ``(B, groups)`` int64.
    labelled : torch.Tensor or None
        ``(B,)`` bool: whether the mask is known; None: it is for all.
    """

    planes: torch.Tensor
    condition: torch.Tensor | None = None
    values: torch.Tensor | None = None
    labelled: torch.Tensor | None = None


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
        Step → its patches.
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
        examples: Callable[[int], Examples],
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
        """Take optimiser step `number`, and return its losses by name.

        Where the mask isn't known, its planes are pure noise, and the error of their prediction doesn't count: such a
        patch teaches the image for a mask that nothing is known of (the marginal of UniDiffuser, arXiv 2303.06555).
        """
        examples = self.examples(number)
        x_0, condition, labelled = examples.planes, examples.condition, examples.labelled
        device = x_0.device
        if condition is not None:
            condition = drop_conditions(condition, resolved(self.config.cond_drop_prob), self.random)
        t = self.process.draw_times(len(x_0), self.random)
        noise = torch.randn(x_0.shape, generator=self.random, device=device)
        x_t = self.process.q_sample(x_0, noise, t)
        if labelled is not None:
            unknown = (~labelled)[:, None] & (torch.arange(x_0.shape[1], device=device) >= self.image_planes)
            x_t = torch.where(unknown[:, :, None, None], noise, x_t)
        with loop.autocast(device):
            prediction = self.network(x_t, t, condition, examples.values)
        errors = self.process.loss_weights(t) * (prediction.float() - self.process.target(x_0, noise, t)) ** 2
        losses = {"image": errors[:, : self.image_planes].mean()}
        if x_0.shape[1] > self.image_planes:
            of_mask = errors[:, self.image_planes :]
            mean = of_mask.mean() if labelled is None else _mean(of_mask, labelled)
            losses["mask"] = self.config.mask_weight * mean
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        return losses


def training_of(
    method: JointDiffusion | ConditionalDiffusion,
    examples: Callable[[int], Examples],
    *,
    steps: int,
    random: torch.Generator,
) -> DiffusionTraining:
    """Return the training of a method's network; from now on, the moving average of its weights draws.

    Parameters
    ----------
    method
        Its codec and its conditioning are fitted, and its network is built.
    examples, steps, random
        As for `DiffusionTraining`.
    """
    training = DiffusionTraining(
        method.config,
        method.network.train(),
        method.process,
        examples,
        steps=steps,
        image_planes=method.codec.image_planes,
        random=random,
    )
    method.network = training.average.module
    return training


def _mean(errors: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the mean error ``(B, C, H, W)`` of the chosen patches, ``(B,)``; 0 without any."""
    return (errors.mean(dim=(1, 2, 3)) * chosen).sum() / chosen.sum().clamp(min=1)


def drop_conditions(condition: torch.Tensor, probability: float, random: torch.Generator) -> torch.Tensor:
    """Return conditions ``(B, K, H, W)``, each replaced by zeros with the given probability."""
    kept = torch.rand(len(condition), generator=random, device=condition.device) >= probability
    return condition * kept[:, None, None, None]
