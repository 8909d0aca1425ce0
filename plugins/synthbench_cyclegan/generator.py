"""The generator plugin cyclegan."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.layers.discriminators import PatchDiscriminator
from synthbench.toolkit.layers.initialisation import initialise_normal
from synthbench.toolkit.layers.resnet_generator import ResNetGenerator
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.sampler import SampledMask
from synthbench.toolkit.rng import torch_stream
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_cyclegan.config import CycleGanConfig
from synthbench_cyclegan.cycle import Cycle
from synthbench_cyclegan.training import CycleGanTraining
from synthbench_cyclegan.unpaired import UnpairedBatches, unpaired_codec

__all__ = ["CycleGan"]

_DOWNSAMPLINGS = 2


class CycleGan(MaskToImageGenerator[CycleGanConfig]):
    """Two residual networks, mask → image and image → mask, trained in a cycle without pairs (Zhu et al. 2017).

    Nothing is learned from which mask belongs to which image: masks and images come from independent patch streams,
    ranges and pixel noise of images are measured without their masks, a drawn image gets those of any training image,
    and there is no intensity conditioning. Images without labels (`Context.unlabelled`) are further images. The network
    image → mask serves the training, and isn't saved.

    The mask of an instance dataset is a distance per object and a foreground without inner borders; of a semantic one,
    a plane per class. `preset` chooses between the published method and this project's additions;
    `docs/methods/cyclegan.md` compares them.
    """

    Config = CycleGanConfig
    uses_unlabelled = True
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=6, batch_size=1, patch_size=64),
        "quick": Budget(steps=1500, batch_size=1, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=4, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=1, patch_size=256),
    }
    random_stream = "cyclegan"

    @property
    def margin(self) -> int:
        return 0 if self.config.upsampling == "transposed" else super().margin

    def fit_codec(self, train: SampleSet) -> ImageMaskCodec:
        return unpaired_codec(train)

    def batches(self, train: SampleSet, context: Context) -> UnpairedBatches:
        return UnpairedBatches(self.codec, train, context)

    def donor(self, mask: SampledMask, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self.codec.normalisations)))

    def build_network(self) -> ResNetGenerator:
        return self._network(self.condition_planes + resolved(self.config.noise_planes), self.codec.image_planes)

    def _network(self, inputs: int, outputs: int) -> ResNetGenerator:
        config = self.config
        return ResNetGenerator(
            inputs,
            outputs,
            resolved(config.ngf),
            _DOWNSAMPLINGS,
            resolved(config.n_blocks),
            resolved(config.upsampling),
        ).to(memory_format=torch.channels_last)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> CycleGanTraining:
        config, image, mask = self.config, self.codec.image_planes, self.codec.mask_planes
        discriminators = nn.ModuleDict(
            {
                name: PatchDiscriminator(planes, resolved(config.ndf), config.n_layers_d).apply(initialise_normal)
                for name, planes in (("image", image), ("mask", mask))
            }
        )
        cycle = Cycle(
            self.network,
            self._network(image, mask).to(self.device),
            discriminators.to(self.device).to(memory_format=torch.channels_last),
            config,
            random,
        )
        return CycleGanTraining(cycle, batches, torch_stream(context.seed, "cyclegan.pools"))

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        image: torch.Tensor = self.network(self.with_noise(condition, resolved(self.config.noise_planes), rng))
        return image
