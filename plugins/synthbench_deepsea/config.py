"""Hyper-parameters of DeepSea.

Sources are the paper (Zargari et al., Cell Reports Methods 2023) and its published code (abzargar/DeepSea).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.toolkit.generators.config import PresetConfig
from synthbench.toolkit.training.budget_defaults import LONG_TRAINING_STEPS, resolve_preset
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig
from synthbench_deepsea.network import PUBLISHED_WIDTHS

MAX_WIDTH = 2048
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]

SHORT_WIDTHS = (16, 32, 64)
"""Planes of the three levels in a short training of the preset `microscopy`."""


class DeepSeaFinetune(FinetuneConfig):
    """Hyper-parameters of fine-tuning; the authors give none, so the rate is a tenth of that from scratch."""

    weight_decay: float = Field(default=1e-8, ge=0, le=1, description="of all weights")


class DeepSeaConfig(PresetConfig):
    """Hyper-parameters of DeepSea."""

    widths: tuple[Width, Width, Width] | None = Field(
        None, description="planes at the full, half and quarter resolution; 64, 128, 256 in the published code"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="probability of dropout in each residual block")
    decoding: Literal["paper", "edges"] | None = Field(
        None,
        description="how instances are found. paper: connected components of the cell head's most likely class, those "
        "below 20 pixels dropped; the edge head is not used. edges: the edge head separates touching objects, which "
        "then grow back over the edges (an addition of this project)",
    )
    edge_radius: int = Field(
        1,
        ge=1,
        le=8,
        description="a pixel belongs to a touching edge if two different instances lie within this distance of it, in "
        "pixels; the paper's edges are unpublished, so this definition is this project's",
    )
    edge_weight: float = Field(
        5.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of the edge head's cross-entropy, relative to the cell head's",
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=1, description="highest rate of RMSprop, in a one-cycle schedule over all steps"
    )
    weight_decay: float = Field(1e-8, ge=0, le=1, description="of RMSprop")
    finetune: DeepSeaFinetune = Field(default_factory=DeepSeaFinetune, description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key: the preset's, and widths that follow from the budget."""
        long = budget.steps >= LONG_TRAINING_STEPS
        return resolve_preset(
            self,
            budget,
            paper={"widths": PUBLISHED_WIDTHS, "decoding": "paper"},
            microscopy={"widths": PUBLISHED_WIDTHS if long else SHORT_WIDTHS, "decoding": "edges"},
        )
