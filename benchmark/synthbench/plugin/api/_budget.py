"""How much a plugin trains."""

from __future__ import annotations

from dataclasses import dataclass

from synthbench.errors import ConfigError

__all__ = ["BUDGET_NAMES", "Budget"]


@dataclass(frozen=True)
class Budget:
    """How much training an arm gets: the same in every arm.

    Parameters
    ----------
    steps
        Optimiser steps; 0 for what doesn't train.
    batch_size
        Patches in a step.
    patch_size
        Side of a square patch, in pixels.
    """

    steps: int
    batch_size: int = 1
    patch_size: int = 128

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "patch_size"):
            value = getattr(self, name)
            low = 0 if name == "steps" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigError(f"budget: {name} is {value!r}; give a whole number from {low} up")


BUDGET_NAMES = ("smoke", "quick", "standard", "paper")
"""`smoke`: seconds, for tests. `quick`: minutes on two CPU cores. `standard`: one GPU. `paper`: as published;
for an unpublished method, a budget of full training."""
