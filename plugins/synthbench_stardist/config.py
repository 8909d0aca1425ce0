"""Hyper-parameters of StarDist."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

SMALL_PATCH = 128
"""Patches with a shorter side are those of short trainings on a CPU; more steps of the same patches change nothing."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StarDistFinetune(FinetuneConfig):
    """Fine-tuning of StarDist: its authors recommend no rate of its own, so it is the library's for all training."""

    learning_rate: float = Field(default=3e-4, gt=0, le=1, description="highest rate of Adam: the library's")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="of all weights; the library has none")


class StarDistConfig(Config):
    """StarDist's hyper-parameters, with the names of its `Config2D`; defaults are its own but for grid and rate."""

    renamed: ClassVar[dict[str, str]] = {
        "depth": "unet_n_depth",
        "filters": "unet_n_filter_base",
        "learning_rate": "train_learning_rate",
        "distance_loss": "train_dist_loss",
        "distance_weight": "train_loss_weights",
        "background_weight": "train_background_reg",
    }

    n_rays: int = Field(32, ge=4, le=128, description="directions in which the distance to the border is predicted")
    grid: Literal[1, 2, 4] = Field(2, description="prediction at every grid-th pixel; the library's default is 1")
    unet_n_depth: int = Field(3, ge=1, le=5, description="number of times that the U-Net halves its input")
    unet_n_filter_base: int | None = Field(
        None,
        ge=4,
        le=256,
        description="channels of the U-Net's first level, doubled at each next; by default those of the weights that "
        "training starts from, else the library's 32, or 16 for patches below 128 px",
    )
    train_learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="highest rate of Adam; by default 1e-3, or 2e-3 for patches below 128 px (the library's, for "
        "40,000 steps, is 3e-4)",
    )
    train_dist_loss: Literal["mae", "mse", "iou"] = Field("mae", description="loss of the distances")
    train_loss_weights: tuple[Weight, Weight] = Field(
        (1.0, 0.2), description="weights of the losses of the object probability and of the distances"
    )
    train_background_reg: float = Field(
        1e-4, ge=0, description="weight of the regulariser that pulls distances outside of objects towards 0"
    )
    finetune: StarDistFinetune = Field(default_factory=StarDistFinetune, description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key.

        Raises
        ------
        ConfigError
            If the U-Net can't halve the patches as often as it does.
        """
        multiple = self.grid * 2**self.unet_n_depth
        if budget.patch_size % multiple:
            raise ConfigError(
                f"a patch of {budget.patch_size} doesn't divide by {multiple} (grid × 2^unet_n_depth); "
                f"use --patch {max(1, budget.patch_size // multiple) * multiple}"
            )
        is_small = budget.patch_size < SMALL_PATCH
        values = {
            "unet_n_filter_base": self.unet_n_filter_base or (16 if is_small else 32),
            "train_learning_rate": self.train_learning_rate or (2e-3 if is_small else 1e-3),
        }
        return self.model_copy(update=values)
