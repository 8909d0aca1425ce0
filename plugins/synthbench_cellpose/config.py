"""Hyper-parameters of Cellpose."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

STRIDE = 8
"""The network halves an image three times."""


class CellposeFinetune(FinetuneConfig):
    """Fine-tuning as the documentation of Cellpose 3 recommends it (docs/train.rst at v3.1: 100 epochs of SGD)."""

    learning_rate: float = Field(
        default=0.1, gt=0, le=1, description="highest rate of SGD with momentum 0.9: the library's for retraining"
    )
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="of all weights: the library's for retraining")
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


class CellposeConfig(Config):
    """Cellpose's hyper-parameters."""

    diam_mean: float | None = Field(
        None,
        ge=4,
        le=200,
        description="diameter in pixels that objects are brought to before they enter the network, in training and in "
        "predicting, by one factor for all images; by default they are left at the size they have, or, with an init, "
        "brought to the size that its weights were trained with",
    )
    learning_rate: float = Field(5e-3, gt=0, le=1, description="highest rate of AdamW: the library's")
    weight_decay: float = Field(1e-5, ge=0, description="of AdamW: the library's")
    finetune: CellposeFinetune = Field(default_factory=CellposeFinetune, description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration; raise `ConfigError` if the network can't halve the patches three times."""
        if self.diam_mean is None and budget.patch_size % STRIDE:
            way = f"use --patch {max(1, budget.patch_size // STRIDE) * STRIDE}"
            raise ConfigError(f"a patch of {budget.patch_size} doesn't divide by {STRIDE}; {way}")
        return self
