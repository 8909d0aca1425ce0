"""R3GAN: trained against its discriminator; image and mask are drawn from z and a class."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, LabelMap, Planes
from synthbench_r3gan.config import R3GanConfig
from synthbench_r3gan.networks import Discriminator, GeneratorNetwork, widths
from synthbench_r3gan.training import R3GanTraining

__all__ = ["R3Gan"]


class R3Gan(JointGenerator[R3GanConfig]):
    """R3GAN (Huang et al. 2024, arXiv 2501.05441) that draws image and mask together from z and a class.

    Generator and discriminator are networks of the same residual blocks without normalisation. The loss compares pairs
    of a real and a drawn patch; gradient penalties on both (R1 and R2) are added in every step. Where the samples have
    classes, the generator gets an embedding with z, and the discriminator is a projection discriminator. Samples have
    the size of the training patches.

    Where the dataset has unlabelled images, patches of them are mixed in, and a second discriminator, which exists only
    then, sees the images of all patches without masks or classes. The first one sees the labelled patches.
    """

    Config = R3GanConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=12, batch_size=2, patch_size=64),
        "quick": Budget(steps=2000, batch_size=8, patch_size=128),
        "standard": Budget(steps=20_000, batch_size=32, patch_size=256),
        "paper": Budget(steps=78_125, batch_size=256, patch_size=256),
    }
    random_stream = "r3gan"
    uses_unlabelled = True

    network: GeneratorNetwork

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.network}

    @property
    def channels(self) -> list[int]:
        """Channels of both networks, from the lowest resolution on."""
        config = self.config
        side = self.patch_size // resolved(config.resampling_factor)
        return widths(side, resolved(config.channel_max), resolved(config.channel_base))

    def build_networks(self) -> None:
        config = self.config
        network = GeneratorNetwork(
            self.channels,
            resolved(config.num_blocks),
            config.z_dim,
            self.codec.planes,
            self.codec.mask_planes,
            classes=self.conditions.class_count,
            factor=resolved(config.resampling_factor),
            softmax=self.codec.mask_encoding == "classes",
            tanh=bool(config.mask_tanh),
        )
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        discriminator = self._discriminator(self.codec.planes, self.conditions.class_count)
        image_discriminator = self._discriminator(self.codec.image_planes, 0) if self.with_unlabelled else None
        training = R3GanTraining(
            config,
            self.network.train(),
            discriminator,
            copy.deepcopy(self.network).eval().requires_grad_(False),
            image_discriminator=image_discriminator,
            image_planes=self.codec.image_planes,
            steps=budget.steps,
            batch_size=budget.batch_size,
            random=random,
        )
        self.network = training.average
        class_of_sample = torch.tensor(self.conditions.classes, device=self.device)

        def step(number: int) -> loop.Losses:
            slots = batches.stream.slots(number)
            # a patch without a class is compared with one that is drawn with the class of a training sample
            classes = class_of_sample[[slot.index % len(train) for slot in slots]]
            labelled = torch.tensor([not slot.synthetic for slot in slots], device=self.device)
            real = torch.cat(batches[number], dim=1)
            return training.step(number, real, classes, labelled if self.with_unlabelled else None)

        loop.train(context, state=training.state, step=step, preview=preview_of(self, context.seed), task=train.task)

    def _discriminator(self, planes: int, classes: int) -> Discriminator:
        """Return a new discriminator of image and mask, or of the image alone."""
        config, unshuffle = self.config, resolved(self.config.discriminator_unshuffle)
        seen = self.channels[: len(self.channels) + 1 - unshuffle.bit_length()]
        network = Discriminator(
            [max(8, int(resolved(config.discriminator_width) * width)) for width in seen],
            resolved(config.num_blocks),
            planes,
            classes=classes,
            factor=resolved(config.resampling_factor),
            unshuffle=unshuffle,
        )
        return network.to(self.device).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        z = torch.from_numpy(rng.standard_normal((1, self.config.z_dim), dtype=np.float32)).to(self.device)
        classes = torch.tensor([self.conditions.classes[donor]], device=self.device)
        planes: Planes = self.network(z, classes)[0].cpu().numpy()
        return planes

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        return self.codec.decode(planes, donor, rng if self.config.pixel_noise else None)
