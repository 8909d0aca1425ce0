"""Fine-tuning: training that starts from trained weights, with a slower encoder, a warm-up, and a falling rate.

A segmenter nests a subclass of `FinetuneConfig` in its configuration, with the defaults of its authors::

    class MyFinetune(FinetuneConfig):
        learning_rate: float = Field(default=1e-4, gt=0, description="…")

    class MyConfig(Config):
        finetune: MyFinetune = Field(default_factory=MyFinetune, description=FINETUNE)

and trains with `Finetuning` where ``context.init`` is given::

    tuning = Finetuning(network, [network.encoder], config.finetune, budget.steps)
    optimiser = torch.optim.AdamW(tuning.parameter_groups())
    schedule = LambdaLR(optimiser, tuning.factor)

    def step(number: int) -> dict[str, torch.Tensor]:
        tuning.freeze(number)
        ...
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from synthbench.plugin.api import Config

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FINETUNE", "FinetuneConfig", "Finetuning", "finetune_factor", "frozen_steps"]

FINETUNE = "used in place of the keys of the same names above when training starts from trained weights (init)"
"""Description of the key `finetune`."""


class FinetuneConfig(Config):
    """Hyper-parameters of fine-tuning; subclasses set the defaults that a method's authors recommend."""

    learning_rate: float = Field(
        default=1e-4, gt=0, le=1, allow_inf_nan=False, description="highest rate of the weights behind the encoder"
    )
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="of all weights")
    encoder_lr_ratio: float = Field(
        default=1.0, gt=0, le=1, description="rate of the encoder's weights over that of all others"
    )
    freeze_encoder: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="fraction of the steps, from the first, in which the encoder stays as it is",
    )
    warmup: float = Field(default=0.05, ge=0, le=1, description="fraction of the steps in which the rate rises from 0")
    decay_from: float = Field(
        default=0.0, ge=0, le=1, description="fraction of the steps after which the rate falls to 0, along a cosine"
    )


def finetune_factor(step: int, steps: int, *, warmup: float, decay_from: float) -> float:
    """Return the factor of the learning rate at a step: linearly up to 1, constant, then to 0 along a cosine.

    Parameters
    ----------
    step
        0 … steps − 1; beyond, the factor is 0.
    steps
        Number of steps of the training.
    warmup
        Fraction of the steps on the way up. The first step has a rate above 0.
    decay_from
        Fraction of the steps after which it falls; not before the end of the warm-up.
    """
    rising = int(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    falling = max(rising, int(decay_from * steps))
    fallen = min(1.0, max(0, step - falling) / max(1, steps - falling))
    return (1 + math.cos(math.pi * fallen)) / 2


def frozen_steps(config: FinetuneConfig, steps: int) -> int:
    """Return for how many steps the encoder stays as it is."""
    return int(config.freeze_encoder * steps)


class Finetuning:
    """Parameter groups, schedule and frozen encoder of a fine-tuning in torch.

    What it does at a step depends on the number of the step alone, so that a resumed training ends with the same bits.

    Parameters
    ----------
    network
    encoder
        Its modules that count as the encoder.
    config
    steps
        Number of steps of the training.
    """

    def __init__(self, network: nn.Module, encoder: Iterable[nn.Module], config: FinetuneConfig, steps: int) -> None:
        self.config = config
        self.steps = steps
        self.encoder = list(encoder)
        self._slow = [p for module in self.encoder for p in module.parameters() if p.requires_grad]
        slow = {id(p) for p in self._slow}
        self._fast = [p for p in network.parameters() if p.requires_grad and id(p) not in slow]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups of an optimiser: the encoder, then the rest, with their rates and their weight decay."""
        config = self.config
        groups = (
            {"params": self._slow, "lr": config.learning_rate * config.encoder_lr_ratio},
            {"params": self._fast, "lr": config.learning_rate},
        )
        return [{**group, "weight_decay": config.weight_decay} for group in groups if group["params"]]

    def factor(self, step: int) -> float:
        """Return the factor of all rates at a step, for `torch.optim.lr_scheduler.LambdaLR`."""
        return finetune_factor(step, self.steps, warmup=self.config.warmup, decay_from=self.config.decay_from)

    def freeze(self, step: int) -> None:
        """Freeze the encoder, or release it, as a step wants it; call it before the step, in training mode.

        A frozen encoder gets no gradient, and its batch norms keep their statistics.
        """
        frozen = step < frozen_steps(self.config, self.steps)
        for parameter in self._slow:
            parameter.requires_grad_(not frozen)
        for module in self.encoder:
            module.train(not frozen)

    def release(self) -> None:
        """End the training: every parameter can have a gradient again."""
        for parameter in self._slow:
            parameter.requires_grad_(True)
