"""Base class of generators that draw image and mask together, as the planes of an image–mask codec.

A method adds its networks, its training, and how planes are drawn::

    class MethodConfig(Config):
        width: int = Field(16, description="channels of the network")

    class Method(JointGenerator[MethodConfig]):
        Config = MethodConfig
        budgets = {"smoke": Budget(20, 2, 64), "quick": ..., "standard": ..., "paper": ...}  # steps, batch, patch

        @property
        def networks(self):
            return {"network": self.network}

        def build_networks(self):
            self.network = make_network(self.codec.planes, self.config.width).to(self.device)

        def train_networks(self, train, batches, context, random):
            self.run_training(MethodTraining(self, batches), context, train.task)

        def draw_planes(self, donor, rng):
            noise = rng.standard_normal((1, self.codec.planes, self.patch_size, self.patch_size), np.float32)
            with torch.no_grad():
                return self.network(torch.from_numpy(noise).to(self.device))[0].cpu().numpy()

    class MethodTraining:
        def __init__(self, method, batches):
            self.network, self.batches = method.network, batches
            self.optimiser = torch.optim.Adam(self.network.parameters())

        @property
        def state(self):  # all that changes during training; a resumed training starts from it
            return {"network": self.network, "optimiser": self.optimiser}

        def step(self, number):
            image, mask = self.batches[number]
            loss = ...
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            return {"loss": loss}

The base class sets `config` (resolved), `patch_size`, `codec`, `conditions` and `device` before it calls
`build_networks`. If the configuration is a `synthbench.toolkit.generators.conditions.ConditionConfig`, a drawn sample
has the condition of its donor, the training image whose intensity range it gets. If it is a
`synthbench.toolkit.generators.unlabelled.UnlabelledConfig` and the context has unlabelled images, some patches of a
batch are theirs: their mask planes are 0, and ``batches.stream.slot(number).synthetic`` is True.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

import numpy as np
import torch

from synthbench.plugin.api import Config, Context, TrainingMix
from synthbench.samples import MASK, Sample, SampleSet
from synthbench.toolkit.generators._base import CodecGenerator, Training
from synthbench.toolkit.generators.conditions import DEFAULT_GROUP, Conditions
from synthbench.toolkit.generators.unlabelled import is_unlabelled, mix_with_unlabelled
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import MIN_STD_RATIO, SAMPLES_TO_CHECK, check_mode_collapse
from synthbench.toolkit.training.patches import PatchStream
from synthbench.types import Image, LabelMap, Planes

__all__ = ["JointGenerator", "Training"]

ConfigT = TypeVar("ConfigT", bound=Config)


class JointGenerator(CodecGenerator[ConfigT]):
    """A trained generator that draws image and mask together; its samples have the size of the training patches.

    A sample gets the intensity range of a training image, its donor.

    Attributes
    ----------
    min_std_ratio : float
        Drawn planes that vary less than this fraction of the training patches' variation are a mode collapse.
    with_unlabelled : bool
        Whether some of the training patches are of unlabelled images; set before `build_networks` is called.
    counts : Counter
        What fitting and sampling have come to: ``lost`` objects of the training masks that the grey-level encoding
        can't represent; ``drawn`` samples, and objects ``removed`` from their masks because of their area.
    """

    min_std_ratio: ClassVar[float] = MIN_STD_RATIO

    with_unlabelled: bool

    # -- what a method writes -----------------------------------------------------------------------------------------

    @abstractmethod
    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        """Take the budget's optimiser steps; afterwards, `draw_planes` uses the trained networks.

        Parameters
        ----------
        train
        batches
            By step: image planes ``(B, image_planes, H, W)`` and mask planes ``(B, mask_planes, H, W)`` in −1 … 1.
        context
        random
            On `device`, seeded by the context's seed; put it into the training's state if it is drawn from.
        """

    @abstractmethod
    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        """Return new planes, ``(image_planes + mask_planes, H, W)`` float32, about −1 … 1.

        Parameters
        ----------
        donor
            Index of the training image whose intensity range and condition the sample gets.
        rng
            Every random number comes from it.
        """

    def fit_codec(self, train: SampleSet) -> ImageMaskCodec:
        """Return the codec; by default instances are encoded as distance and foreground."""
        return ImageMaskCodec.of(train, "distance", 1)

    def prepare(self, train: SampleSet) -> None:
        """Measure what else the networks need of the training set, when the codec is there; nothing by default."""

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        """Return the image planes and the mask planes of training sample `position`."""
        return self.codec.encode(sample, position)

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        """Return the image and the labels of drawn planes, and the number of objects that were removed."""
        return self.codec.decode(planes, donor)

    def groups(self, donor: int) -> dict[str, str]:
        """Return the groups of a new sample."""
        return {**self.conditions.groups_of(donor), MASK: "new"}

    def planes_for_check(self, donor: int, rng: np.random.Generator, seed: int) -> Planes:
        """Return planes for the check for mode collapse; by default those of `draw_planes`."""
        return self.draw_planes(donor, rng)

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, train: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        mix = mix_with_unlabelled(train, self.config, context)
        self.with_unlabelled = mix.synthetic is not None
        self.patch_size = context.budget.patch_size
        self.codec = self.fit_codec(train)
        self.conditions = Conditions.of(train, self.config, DEFAULT_GROUP)
        self.prepare(train)
        random = loop.prepare_torch(context)
        self.device = torch.device(context.device)
        self.build_networks()

        def encode(sample: Sample) -> tuple[Planes, Planes]:
            if not is_unlabelled(sample):
                return self.encode(sample, train.position(sample.id))
            return self.codec.encode_other_image(sample.image), np.zeros(
                (self.mask_planes, *sample.labels.shape), np.float32
            )

        def patches(mix: TrainingMix) -> PatchStream:
            return PatchStream(mix, context.budget, context.seed, encode=encode, augment_intensity=False)

        stream = patches(mix)
        self.train_networks(train, Batches(stream, context.device), context, random)
        for network in self.networks.values():
            network.eval()
        self.counts.clear()  # what the pictures of the log counted isn't part of the result
        if self.mask_planes and self.codec.mask_encoding == "grey":
            self.counts["lost"] = self.codec.count_lost(train)
        labelled = patches(TrainingMix(train)) if self.with_unlabelled else stream
        self.check_samples(labelled.first_patches(SAMPLES_TO_CHECK), context.seed)

    @property
    def mask_planes(self) -> int:
        """Number of planes of the mask that the networks draw."""
        return self.codec.mask_planes

    def check_samples(self, real: Planes, seed: int) -> None:
        """Raise `Diverged` if drawn planes are flat, or all alike, where those of training patches aren't.

        Parameters
        ----------
        real
            ``(n, planes, H, W)`` float32, of training patches.
        seed
        """
        drawn = []
        for index in range(len(real)):
            rng = stream(seed, f"{self.random_stream}.check", index)
            drawn.append(self.planes_for_check(self.draw_donor(rng), rng, seed))
        check_mode_collapse(np.stack(drawn), real, self.codec.image_planes, self.min_std_ratio)

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(self, index: int, seed: int) -> Sample:
        rng = stream(seed, f"{self.random_stream}.sample", index)
        chosen = self.conditions.choose(index, seed)
        donor = self.draw_donor(rng) if chosen is None else chosen
        image, labels, removed = self.decode(self.draw_planes(donor, rng), donor, rng)
        self.counts.update(drawn=1, removed=removed)
        return Sample(f"{index:06d}", image, labels, self.groups(donor))

    def draw_donor(self, rng: np.random.Generator) -> int:
        """Draw the index of a training image."""
        return int(rng.integers(len(self.codec.normalisations)))
