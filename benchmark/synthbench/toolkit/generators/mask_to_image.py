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
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import nn

from synthbench.plugin.api import Context
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.generators._base import CodecGenerator, Training
from synthbench.toolkit.generators.conditions import Conditions
from synthbench.toolkit.generators.config import MaskToImageConfig
from synthbench.toolkit.generators.unlabelled import is_unlabelled, mix_with_unlabelled
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.objects import boundaries
from synthbench.toolkit.masks.sampler import MaskSampler, SampledMask
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import check_flat
from synthbench.toolkit.training.patches import PatchStream, Slot
from synthbench.types import LabelMap, Planes

__all__ = ["ConditionedBatch", "ConditionedBatches", "MaskToImageGenerator", "Training"]

ConfigT = TypeVar("ConfigT", bound=MaskToImageConfig)

_CONDITIONING = "intensity.json"
_CHECKED = 4


@dataclass(frozen=True)
class ConditionedBatch:
    """Training patches, and what belongs to them; float32, on the device that trains.

    Attributes
    ----------
    image : torch.Tensor
        ``(B, image_planes, H, W)``, −1 … 1.
    mask : torch.Tensor
        ``(B, mask_planes, H, W)``, −1 … 1, as `MaskToImageGenerator.encode_mask` returns it.
    intensities : torch.Tensor
        ``(B, N, H, W)``, the planes of `IntensityConditioning`; N is 0 without intensity conditioning.
    pixel_noise : torch.Tensor
        ``(B, image_planes, H, W)``, the standard deviation of the image's pixel noise; 0 where it isn't modelled.
    texture : torch.Tensor
        ``(B, M, H, W)``, the strength of the objects' texture; M is 0 where training doesn't use it.
    """

    image: torch.Tensor
    mask: torch.Tensor
    intensities: torch.Tensor
    pixel_noise: torch.Tensor
    texture: torch.Tensor


class ConditionedBatches:
    """The batches of a training by step: ``batches[number]`` is a `ConditionedBatch`.

    Parameters
    ----------
    generator
        Its codec and its conditioning are fitted; its network isn't trained yet.
    train
    context
    """

    def __init__(self, generator: MaskToImageGenerator[ConfigT], train: SampleSet, context: Context) -> None:
        self._split = generator.batch

        def encode(sample: Sample) -> tuple[Planes, Planes]:
            if is_unlabelled(sample):
                return generator.encode_unlabelled(sample)
            return generator.encode(sample, train.position(sample.id))

        mix = mix_with_unlabelled(train, generator.config, context)
        stream = PatchStream(mix, context.budget, context.seed, encode=encode, augment_intensity=False)
        self._batches = Batches(stream, context.device)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._batches)

    def slots(self, number: int) -> list[Slot]:
        """Return the slots of the patch stream that a step's patches come from."""
        return self._batches.stream.slots(number)

    def __getitem__(self, number: int) -> ConditionedBatch:
        """Return the batch of a step; raise `IndexError` past the last."""
        return self._split(*self._batches[number])


class MaskToImageGenerator(CodecGenerator[ConfigT]):
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

    trains_on_texture: ClassVar[bool] = False

    conditioning: IntensityConditioning
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

        Every random number comes from `rng`; the values are about −1 … 1.
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

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        """Return the image planes of a training sample, and all planes that belong to them.

        Parameters
        ----------
        sample
        position
            Its index in the training set.

        Returns
        -------
        image : ndarray
            ``(image_planes, H, W)`` float32, −1 … 1.
        planes : ndarray
            ``(K, H, W)`` float32: mask, intensities, pixel noise, texture; see `ConditionedBatch`.
        """
        image, mask = self.codec.encode_image(sample, position), self.encode_mask(sample.labels)
        intensities = self.conditioning.training_planes(sample.labels, position)
        noise = (
            self.codec.pixel_noise_planes(sample.labels, position) if self.config.pixel_noise else np.zeros_like(image)
        )
        planes = [mask, intensities, noise]
        if self.trains_on_texture and self.config.texture:
            planes.append(self.conditioning.texture(sample.labels, position))
        return image, np.concatenate(planes)

    def encode_mask(self, labels: LabelMap) -> Planes:
        """Return the planes of a mask, ``(mask_planes, H, W)`` float32, −1 … 1: the codec's, and the boundary map.

        Parameters
        ----------
        labels
            ``(H, W)``.
        """
        planes = self.codec.encode_mask(labels)
        if self.mask_planes == len(planes):
            return planes
        return np.concatenate([planes, 2 * boundaries(labels)[None].astype(np.float32) - 1])

    @property
    def mask_planes(self) -> int:
        """Number of planes of an encoded mask."""
        return self.codec.mask_planes + (self.sees_boundaries and self.codec.mask_encoding != "classes")

    @property
    def sees_boundaries(self) -> bool:
        """Whether masks of instances have a further plane, the boundary map of `masks.objects.boundaries`."""
        return False

    def encode_unlabelled(self, sample: Sample) -> tuple[Planes, Planes]:
        """Return the image planes of an unlabelled image, and zeros in place of the planes that belong to it.

        Zeros as a condition stand for no condition. Only generators whose configuration is a
        `synthbench.toolkit.generators.unlabelled.UnlabelledConfig` get unlabelled images.
        """
        image = self.codec.encode_other_image(sample.image)
        planes = self.mask_planes + self.conditioning.planes + self.codec.image_planes
        return image, np.zeros((planes, *image.shape[1:]), np.float32)

    def batch(self, image: torch.Tensor, planes: torch.Tensor) -> ConditionedBatch:
        """Return stacked results of `encode` as a batch."""
        sizes = [self.mask_planes, self.conditioning.planes, self.codec.image_planes]
        return ConditionedBatch(image, *torch.split(planes, [*sizes, planes.shape[1] - sum(sizes)], dim=1))

    @property
    def condition_planes(self) -> int:
        """Number of planes of a condition: the mask's, and the intensities'."""
        return self.mask_planes + self.conditioning.planes

    def condition(self, mask: torch.Tensor, intensities: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of masks and intensities: ``(B, condition_planes, H, W)``."""
        return conditioning_planes(mask, intensities, self.conditioning.object_planes)

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
