"""Diffusion of image and mask together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from synthbench import Context, SampleSet
from synthbench.toolkit.generators.diffusion_processes import DiffusionProcess
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, LabelMap, Planes
from synthbench_diffusion.config import DenoisingConfig, DiffusionConfig
from synthbench_diffusion.network import Denoiser, build_denoiser
from synthbench_diffusion.training import DiffusionTraining

__all__ = ["JointDiffusion"]


class JointDiffusion(JointGenerator[DenoisingConfig]):
    """The network draws the planes of image and mask together."""

    Config: ClassVar[type[DenoisingConfig]] = DiffusionConfig
    random_stream = "diffusion"

    network: Denoiser
    process: DiffusionProcess

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"denoiser": self.network}

    def build_networks(self) -> None:
        config = self.config
        self.process = config.process()
        self.network = build_denoiser(config, self.patch_size, self.codec.planes).to(self.device).eval()

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        training = DiffusionTraining(
            self.config,
            self.network.train(),
            self.process,
            lambda number: (torch.cat(batches[number], dim=1), None),
            steps=len(batches),
            image_planes=self.codec.image_planes,
            random=random,
        )
        self.network = training.average.module
        loop.train(
            context,
            state=training.state,
            step=training.step,
            preview=preview_of(self, context.seed),
            task=train.task,
        )

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        shape = (1, self.codec.planes, self.patch_size, self.patch_size)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(self.device)
        steps = resolved(self.config.sampling_steps)
        planes: Planes = self.process.sample(self.network, noise, steps, self.network.cycle_spin)[0].cpu().numpy()
        return planes

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        return self.codec.decode(planes, donor, rng if self.config.pixel_noise else None)
