"""InstanSeg's hyper-parameters."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.training.budget_defaults import resolve_defaults
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

STRIDE = 8
"""The network halves an image three times."""

PUBLISHED_LAYERS = (32, 64, 128, 256)

Width = Annotated[int, Field(ge=1)]


class InstanSegFinetune(FinetuneConfig):
    """Training that goes on from trained weights, as the library does it: at the same rate, without a hot start."""

    learning_rate: float = Field(1e-3, gt=0, le=1, allow_inf_nan=False, description="highest rate of Adam")
    weight_decay: float = Field(0.0, ge=0, le=1, description="of all weights")


class InstanSegConfig(Config):
    """InstanSeg's hyper-parameters; keys have the names of the library's options where it has them."""

    layers: tuple[Width, Width, Width, Width] | None = Field(
        None,
        description="channels of the U-Net, from fine to coarse; those of the weights that it starts from, or 32, 64, "
        "128, 256, as published, in a training of at least 10,000 steps, else half of them",
    )
    mlp_width: int = Field(5, ge=1, description="width of the classifier of pixels")
    window_size: int = Field(
        128, ge=16, multiple_of=2, description="side in pixels of the window around a seed in which pixels are its own"
    )
    hot_start: float | None = Field(
        None,
        ge=0,
        le=1,
        description="fraction of the steps, from the first, with easier losses (cross-entropy of seeds, Dice of "
        "instances); 10 of 510 epochs are published, and a fifth is the default in a short training",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="first rate of Adam: 0.001, as published, in a training of at least 10,000 steps, else 0.01: the "
        "map of seeds has values of -7.5 … 7.5, which a short training at the published rate doesn't reach",
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine",
        description="of the learning rate; cosine: down to 0. constant, as published, wants a choice among the epochs, "
        "which isn't made here",
    )
    weight_decay: float = Field(0.0, ge=0, le=1, description="of Adam")
    clip: float = Field(20.0, gt=0, description="gradients are clipped to this norm")
    max_seeds: int = Field(
        2000, ge=1, description="seeds that are decoded in an image, the strongest; memory grows with their number"
    )
    min_size: int = Field(10, ge=0, description="instances of no more pixels than this are dropped")
    finetune: InstanSegFinetune = Field(InstanSegFinetune.model_validate({}), description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key; raise `ConfigError` if the patches don't suit it."""
        if budget.patch_size % STRIDE or budget.patch_size < 2 * STRIDE:
            way = f"use --patch {max(2, budget.patch_size // STRIDE) * STRIDE}"
            raise ConfigError(
                f"a patch of {budget.patch_size} isn't a multiple of {STRIDE} from {2 * STRIDE} up; {way}"
            )
        return resolve_defaults(
            self,
            budget,
            short={"layers": (16, 32, 64, 128), "hot_start": 0.2, "learning_rate": 1e-2},
            long={"layers": PUBLISHED_LAYERS, "hot_start": 10 / 510, "learning_rate": 1e-3},
        )
