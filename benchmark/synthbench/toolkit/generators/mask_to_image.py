"""Base class of generators that draw an image for a mask.

Masks come from a mask sampler. An image drawn for one gets the intensity range of a training image with objects of
similar size, and, where the configuration asks for it, that image's intensity statistics, pixel noise and texture. A
method adds its network, and its training step::

    class MethodConfig(MaskToImageConfig):
        width: int = Field(16, description="channels of the network")
        pixel_noise: bool | None = True  # without noise, a network draws a constant image for an empty mask

    class Method(MaskToImageGenerator[MethodConfig]):
        Config = MethodConfig
        budgets = {"smoke": Budget(20, 2, 64), "quick": ..., "standard": ..., "paper": ...}  # steps, batch, patch

        def build_network(self):
            return make_network(self.condition_planes, self.config.width, self.codec.image_planes)

        def training(self, batches, context, random):
            return MethodTraining(self, batches)

        def generate(self, condition, rng):
            return self.network(condition)

    class MethodTraining:
        def __init__(self, method, batches):
            self.method, self.batches = method, batches
            self.optimiser = torch.optim.Adam(method.network.parameters())

        @property
        def state(self):  # all that changes during training; a resumed training starts from it
            return {"network": self.method.network, "optimiser": self.optimiser}

        def step(self, number):
            batch = self.batches[number]
            image = self.method.network(self.method.condition(batch.mask, batch.intensities))
            loss = functional.l1_loss(image, batch.image)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            return {"l1": loss}

Before it calls `build_network`, the base class sets `config` (resolved), `patch_size`, `codec`, `conditioning`,
`sampler` and `device`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from synthbench.plugin.api import Context
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.generators._base import Training
from synthbench.toolkit.generators._conditioned import ConditionedBatch, ConditionedBatches, ConditionedGenerator
from synthbench.toolkit.generators.conditions import Conditions
from synthbench.toolkit.generators.config import MaskToImageConfig
from synthbench.toolkit.intensity.conditioning import IntensityConditioning
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.sampler import MaskSampler, SampledMask
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.mode_collapse import check_flat
from synthbench.types import LabelMap, Planes

__all__ = ["ConditionedBatch", "ConditionedBatches", "MaskToImageGenerator", "Training"]

ConfigT = TypeVar("ConfigT", bound=MaskToImageConfig)

_CONDITIONING = "intensity.json"
_CHECKED = 4


class MaskToImageGenerator(ConditionedGenerator[ConfigT]):
    """A trained generator that draws images for masks of a mask sampler.

    The condition of an instance dataset is (distance per instance, foreground without inner borders), so that touching
    objects stay apart; of a semantic one, a plane per class. With intensity conditioning, planes of intensity
    statistics follow; with `condition_on`, a plane for each value of the groups, 1 for the sample's values and else 0.
    An image then gets the groups of the training image that its mask comes from, and a recombined mask has objects of
    training images with the same groups.

    Attributes
    ----------
    conditioning : IntensityConditioning
        Of the training set; without planes where the configuration has no intensity conditioning.
    sampler : MaskSampler
        Of the training masks.
    network : nn.Module
        Maps conditions to images.
    margin : int
        Pixels by which an image is drawn larger on each side and then cropped, so that the network's zero padding
        doesn't show at its borders.
    trains_on_texture : bool
        Whether training batches hold the texture strengths where the configuration has `texture`.
    counts : Counter
        What sampling has come to: ``drawn`` samples, ``removed`` small objects and ``unplaced`` objects of their masks.
    """

    sampler: MaskSampler
    network: nn.Module

    @property
    def margin(self) -> int:
        return 16

    # -- what a method writes -----------------------------------------------------------------------------------------

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return a new generator network that takes `condition_planes` planes, on the CPU or on `device`."""

    @abstractmethod
    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> Training:
        """Return the training step of `network`.

        Parameters
        ----------
        batches
        context
        random
            On `device`, seeded by the context's seed; put it into the training's state if it is used.
        """

    @abstractmethod
    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return the image of one condition: ``(1, condition_planes, H, W)`` → ``(1, image_planes, H, W)``.

        Every random number comes from `rng`; the values are about −1 … 1. See `with_noise`.
        """

    def resolve_config(self, train: SampleSet, context: Context) -> ConfigT:
        """Return the configuration with nothing left open."""
        return self.config.resolve(context.budget)

    def fit_codec(self, train: SampleSet) -> ImageMaskCodec:
        """Return the codec; by default instances are encoded as distance and foreground."""
        return ImageMaskCodec.of(train, "distance", 1)

    def batches(self, train: SampleSet, context: Context) -> ConditionedBatches:
        """Return the training batches; by default pairs of image and mask."""
        return ConditionedBatches(self, train, context)

    def donor(self, mask: SampledMask, rng: np.random.Generator) -> int:
        """Return the training image whose range a sample gets; by default one with objects of similar size."""
        return int(rng.choice(self.sampler.similar_masks(mask.source)))

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, train: SampleSet, context: Context) -> None:
        random = self.prepare(train, context)
        batches = self.batches(train, context)
        self.run_training(self.training(batches, context, random), context, train.task)
        self.check_images(train, context.seed)

    def prepare(self, train: SampleSet, context: Context) -> torch.Generator:
        """Fit everything but the networks, and create these; return the source of the training's random numbers."""
        self.patch_size = context.budget.patch_size
        self.codec = self.fit_codec(train)
        self.config = self.resolve_config(train, context)
        self.conditions = Conditions.of(train, self.config)
        conditioning = (
            IntensityConditioning.of(train, self.codec)
            if self.config.intensity_conditioning
            else IntensityConditioning.none(len(train))
        )
        self.conditioning = conditioning.with_values(self.conditions.one_hot)
        self.sampler = self.config.sampler(train, self.conditions.classes)
        random = loop.prepare_torch(context)
        self.device = torch.device(context.device)
        self.build_networks()
        return random

    def check_images(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images drawn for the first training masks are flat where the real ones aren't."""
        spreads = []
        for position in range(min(_CHECKED, len(train))):
            sample = train[position]
            intensities = self.conditioning.training_planes(sample.labels, position)
            rng = stream(seed, f"{self.random_stream}.check", position)
            drawn = self.image_planes(sample.labels, intensities, rng).clip(-1, 1)
            spreads.append((float(drawn.std()), float(self.codec.encode(sample, position)[0].std())))
        check_flat(spreads)

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(self, index: int, seed: int) -> Sample:
        mask = self.sampler.sample_mask(index, seed, self.conditions.choose(index, seed))
        rng = stream(seed, f"{self.random_stream}.sample", index)
        labels, mask_planes, removed = self.encode_sampled(mask, rng)
        donor = self.donor(mask, rng)
        intensities, texture = self.conditioning.planes_for(labels, donor, rng)
        planes = self.draw_image(mask_planes, intensities, rng)
        if self.config.texture:
            planes = match_texture(planes, labels, texture, rng)
        image = self.codec.decode_image(planes, labels, donor, rng if self.config.pixel_noise else None)
        self.counts.update(drawn=1, removed=mask.removed + removed, unplaced=mask.unplaced)
        return Sample(f"{index:06d}", image, labels, {**self.conditions.groups_of(donor), **mask.groups})

    def encode_sampled(self, mask: SampledMask, rng: np.random.Generator) -> tuple[LabelMap, Planes, int]:
        """Return what an image is drawn for; a method may override it to draw for a part of the mask.

        Parameters
        ----------
        mask
        rng
            Every random number comes from it.

        Returns
        -------
        labels : ndarray
            ``(H, W)``, the label map of the sample.
        planes : ndarray
            ``(mask_planes, H, W)`` float32, −1 … 1, as `encode_mask` returns it.
        removed : int
            Number of small objects removed from the mask here.
        """
        return mask.labels, self.encode_mask(mask.labels), 0

    def image_planes(self, labels: LabelMap, intensities: Planes, rng: np.random.Generator) -> Planes:
        """Return the image of a label map; see `draw_image`.

        Parameters
        ----------
        labels
            ``(H, W)``.
        intensities
        rng
        """
        return self.draw_image(self.encode_mask(labels), intensities, rng)

    @torch.no_grad()
    def draw_image(self, mask_planes: Planes, intensities: Planes, rng: np.random.Generator) -> Planes:
        """Return the image of an encoded mask, without pixel noise and texture.

        Images are drawn one by one, so that a sample doesn't depend on others.

        Parameters
        ----------
        mask_planes
            ``(mask_planes, H, W)`` float32, −1 … 1, as `encode_mask` returns it.
        intensities
            ``(N, H, W)`` float32, the planes of `IntensityConditioning`.
        rng

        Returns
        -------
        ndarray
            ``(image_planes, H, W)`` float32, about −1 … 1.
        """
        margin, (height, width) = self.margin, mask_planes.shape[1:]
        borders = ((0, 0), (margin, margin), (margin, margin))
        mask, around = (
            torch.from_numpy(np.pad(planes, borders, mode="symmetric"))[None] for planes in (mask_planes, intensities)
        )
        image = self.generate(self.condition(mask, around).to(self.device), rng)[0].cpu().numpy()
        return np.asarray(image[:, margin : margin + height, margin : margin + width])

    def with_noise(self, condition: torch.Tensor, planes: int, rng: np.random.Generator) -> torch.Tensor:
        """Return a condition and normal noise: ``(1, K, H, W)`` → ``(1, K + planes, H, W)``."""
        noise = rng.standard_normal((1, planes, *condition.shape[2:]), dtype=np.float32)
        return torch.cat([condition, torch.from_numpy(noise).to(self.device)], dim=1)

    # -- networks and files -------------------------------------------------------------------------------------------

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.network}

    def build_networks(self) -> None:
        self.network = self.build_network().to(self.device)

    def save_state(self, folder: Path) -> None:
        self.conditioning.save(folder / _CONDITIONING)
        self.sampler.save(folder)

    def load_state(self, folder: Path) -> None:
        self.conditioning = IntensityConditioning.load(folder / _CONDITIONING)
        self.sampler = MaskSampler.load(folder)
