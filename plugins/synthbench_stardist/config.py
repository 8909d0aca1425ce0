"""Hyper-parameters of StarDist."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError


class StarDistConfig(Config):
    """StarDist's hyper-parameters; the defaults are the library's, but for grid and learning rate."""

    n_rays: int = Field(32, ge=4, le=128, description="directions in which the distance to the border is predicted")
    grid: Literal[1, 2, 4] = Field(2, description="prediction at every grid-th pixel; the library's default is 1")
    depth: int = Field(3, ge=1, le=5, description="levels of the U-Net")
    filters: int = Field(32, ge=4, le=256, description="channels of the U-Net's first level, doubled at each next")
    learning_rate: float = Field(
        1e-3, gt=0, description="highest rate of Adam; the library's, for 40,000 steps, is 3e-4"
    )
    distance_loss: Literal["mae", "mse", "iou"] = Field("mae", description="loss of the distances")
    distance_weight: float = Field(0.2, ge=0, description="weight of the distances' loss beside the probability's 1")
    background_weight: float = Field(1e-4, ge=0, description="pull of the distances towards 0 outside of objects")

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration; raise `ConfigError` if the U-Net can't halve the patches as often as it does."""
        multiple = self.grid * 2**self.depth
        if budget.patch_size % multiple:
            raise ConfigError(
                f"a patch of {budget.patch_size} doesn't divide by {multiple} (grid × 2^depth); "
                f"use --patch {max(1, budget.patch_size // multiple) * multiple}"
            )
        return self
