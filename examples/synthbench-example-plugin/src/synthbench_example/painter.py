"""A small network that paints images to new masks: what a generator that trains takes from `synthbench.toolkit`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.masks.sampler import MaskSampler
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights


class Settings(MaskConfig):
    """What a study may set.

    Attributes
    ----------
    width : int
        Channels between the layers.
    learning_rate : float
        Of Adam.
    mask_source, object_layout, foreground_fraction, touching_fraction
        Which masks images are painted to; see `synthbench.toolkit.masks.config.MaskConfig`.
    """

    width: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class Painter(Generator[Settings]):
    """Three convolutions from the planes of a mask to an image, trained on the absolute difference."""

    Config = Settings
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=20, batch_size=2, patch_size=64),
        "quick": Budget(steps=1000, batch_size=4, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=10_000, batch_size=16, patch_size=256),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.codec = ImageMaskCodec.of(train, "distance", 1)  # images in −1 … 1, instances as distance and foreground
        self.sampler = self.config.sampler(train)
        loop.prepare_torch(context)  # seeds torch: before any network is built
        self.network = self._network(context)
        optimiser = torch.optim.Adam(self.network.parameters(), self.config.learning_rate)
        stream = PatchStream(
            TrainingMix(train),
            context.budget,
            context.seed,
            encode=lambda sample: self.codec.encode(sample, train.position(sample.id)),
            augment_intensity=False,  # the light of an image is what is to be learnt
        )
        batches = Batches(stream, context.device)

        def step(number: int) -> dict[str, torch.Tensor]:
            real, mask = batches[number]
            with loop.autocast(context.device):
                painted = self.network(mask)
            loss = F.l1_loss(painted.float(), real)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return {"l1": loss}

        self.network.train()
        loop.train(
            context,
            state={"network": self.network, "optimiser": optimiser},  # all that changes: a killed fit goes on from it
            step=step,
            preview=preview_of(self, context.seed, self.network),  # pictures for the log
            task=train.task,
        )
        self.network.eval()
        self.counts.clear()  # of the pictures

    @torch.no_grad()
    def sample(self, index: int, seed: int) -> Sample:
        device = next(self.network.parameters()).device
        mask = self.sampler.sample_mask(index, seed)
        rng = np.random.default_rng((seed, index))
        like = int(
            rng.choice(self.sampler.similar_masks(mask.source))
        )  # the training image whose range of light it gets
        planes = torch.from_numpy(self.codec.encode_mask(mask.labels))[None].to(device)
        image = self.codec.decode_image(self.network(planes)[0].cpu().numpy(), mask.labels, like, rng)
        self.counts.update(removed=mask.removed, unplaced=mask.unplaced)
        return Sample(f"{index:06d}", image, mask.labels, mask.groups)

    def _network(self, context: Context) -> nn.Sequential:
        width = self.config.width
        return nn.Sequential(
            nn.Conv2d(self.codec.mask_planes, width, 9, padding=4, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(width, self.codec.image_planes, 1),
            nn.Tanh(),
        ).to(context.device)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / "codec.json")
        self.sampler.save(folder)
        save_weights(self.network, folder / "network.safetensors")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.codec = ImageMaskCodec.load(folder / "codec.json")
        new.sampler = MaskSampler.load(folder)
        new.network = new._network(context)
        load_weights(new.network, folder / "network.safetensors")
        new.network.eval()
        return new
