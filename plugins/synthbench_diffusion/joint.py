"""Diffusion of image and mask together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
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
from synthbench.toolkit.training.state_files import read_state
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, LabelMap, Planes
from synthbench_diffusion.config import DenoisingConfig, DiffusionConfig
from synthbench_diffusion.network import Denoiser, build_denoiser
from synthbench_diffusion.training import Examples, training_of

__all__ = ["JointDiffusion"]

_TRAINING = "training.json"


class JointDiffusion(JointGenerator[DenoisingConfig]):
    """The network draws the planes of image and mask together.

    Unlabelled images teach the planes of the image. Whether a patch is labelled is embedded like a group, so that they
    don't blur what the network learns of image and mask together; samples are drawn as labelled.
    """

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
        sizes = [len(values) for values in self.conditions.values] + [2] * self.with_unlabelled
        network = build_denoiser(config, self.patch_size, self.codec.planes, condition_values=sizes)
        self.network = network.to(self.device).eval()

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        unlabelled = batches.stream.mix.synthetic
        members = self._values(self.conditions.members, labelled=True)
        others = [self.conditions.indices(entry.groups) for entry in unlabelled.entries] if unlabelled else []
        values_of = {False: members, True: self._values(others, labelled=False)}

        def examples(number: int) -> Examples:
            slots = batches.stream.slots(number)
            values = torch.stack([values_of[slot.synthetic][slot.index] for slot in slots])
            labelled = torch.tensor([not slot.synthetic for slot in slots], device=self.device)
            return Examples(
                torch.cat(batches[number], dim=1),
                values=values if values.shape[1] else None,
                labelled=labelled if self.with_unlabelled else None,
            )

        training = training_of(self, examples, steps=len(batches), random=random)
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
        found = self._values(self.conditions.members[donor : donor + 1], labelled=True)
        values = found if found.shape[1] else None

        def predict(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            prediction: torch.Tensor = self.network(x_t, t, None, values)
            return prediction

        def spin(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return self.network.cycle_spin(x_t, t, values)

        planes: Planes = self.process.sample(predict, noise, steps, spin)[0].cpu().numpy()
        return planes

    def _values(self, rows: Sequence[tuple[int, ...]], *, labelled: bool) -> torch.Tensor:
        """Return the indices that the network gets for samples: their conditions, and whether they are labelled."""
        last = (0 if labelled else 1,) * self.with_unlabelled
        return torch.tensor([[*row, *last] for row in rows], dtype=torch.int64, device=self.device)

    def save_state(self, folder: Path) -> None:
        super().save_state(folder)
        (folder / _TRAINING).write_text(json.dumps({"with_unlabelled": self.with_unlabelled}) + "\n", encoding="utf-8")

    def load_state(self, folder: Path) -> None:
        super().load_state(folder)
        self.with_unlabelled = read_state(folder / _TRAINING, lambda state: bool(state["with_unlabelled"]))

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        return self.codec.decode(planes, donor, rng if self.config.pixel_noise else None)
