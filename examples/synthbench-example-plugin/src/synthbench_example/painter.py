"""A small network that paints images for new masks: what a generator that trains takes from `synthbench.toolkit`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from synthbench import Budget, Context
from synthbench.toolkit.generators.config import MaskToImageConfig
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.loop import autocast


class Settings(MaskToImageConfig):
    """What a study may set, in addition to the keys that all mask-to-image generators have."""

    width: int = Field(16, ge=1, description="planes between the layers")
    learning_rate: float = Field(2e-3, gt=0, description="of Adam")
    pixel_noise: bool | None = True  # without noise, the image of an empty mask is constant


class Painter(MaskToImageGenerator[Settings]):
    """Three convolutions from the planes of a mask to an image, trained on the absolute difference.

    The base class draws the masks, encodes and decodes samples, runs the training loop with its checkpoints and log,
    and saves and loads; a method adds its network, its training step, and how an image is generated.
    """

    Config = Settings
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=20, batch_size=2, patch_size=64),
        "quick": Budget(steps=1000, batch_size=4, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=10_000, batch_size=16, patch_size=256),
    }
    random_stream = "example-painter"  # prefix of its streams of random numbers; by default package and class name

    def build_network(self) -> nn.Sequential:
        width = self.config.width
        return nn.Sequential(
            nn.Conv2d(self.condition_planes, width, 9, padding=4, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, self.codec.image_planes, 1),
            nn.Tanh(),
        )

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> PainterTraining:
        return PainterTraining(self, batches)

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        image: torch.Tensor = self.network(condition)  # a method with noise draws it from rng
        return image


class PainterTraining:
    """The optimiser, and one training step."""

    def __init__(self, painter: Painter, batches: ConditionedBatches) -> None:
        self.painter = painter
        self.batches = batches
        self.optimiser = torch.optim.Adam(painter.network.parameters(), painter.config.learning_rate)

    @property
    def state(self) -> Mapping[str, State]:
        """All that changes during training: an interrupted training resumes from it."""
        return {"network": self.painter.network, "optimiser": self.optimiser}

    def step(self, number: int) -> dict[str, torch.Tensor]:
        batch = self.batches[number]
        condition = self.painter.condition(batch.mask, batch.intensities)
        with autocast(batch.image.device):
            painted = self.painter.network(condition)
        loss = functional.l1_loss(painted.float(), batch.image)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"l1": loss}
