"""Hyper-parameters of Cellpose-SAM."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.training.finetuning import FinetuneConfig

SIDE = 256
"""Side of the squares that the network takes, in pixels."""


class CellposeSAMFinetune(FinetuneConfig):
    """Fine-tuning as the library does it (cellpose 4, train.py, 100 epochs)."""

    learning_rate: float = Field(default=1e-5, gt=0, le=1, description="highest rate of AdamW: the library's")
    weight_decay: float = Field(default=0.1, ge=0, le=1, description="of all weights: the library's")
    warmup: float = Field(
        default=0.1, ge=0, le=1, description="fraction of the steps in which the rate rises: 10 of 100 epochs"
    )
    decay_from: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="fraction of the steps after which the rate falls: 50 of 100 epochs; along a cosine to 0, where "
        "the library halves it ten times",
    )


class CellposeSAMConfig(Config):
    """Cellpose-SAM's hyper-parameters."""

    finetune: CellposeSAMFinetune = Field(
        default_factory=CellposeSAMFinetune, description="training, which always starts from trained weights (init)"
    )
    inference_batch_size: int = Field(8, ge=1, le=256, description="squares that are predicted at once; the library's")

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration; raise `ConfigError` if a patch is larger than the network's squares."""
        if budget.patch_size > SIDE:
            raise ConfigError(
                f"a patch of {budget.patch_size} is larger than {SIDE}, the network's; use --patch {SIDE}"
            )
        return self
