"""The generator plugin pix2pixhd."""

from __future__ import annotations

import torch

from synthbench import Budget, Context
from synthbench.toolkit.generators.feature_matching import FeatureMatchingGenerator
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.layers.initialisation import initialise_normal
from synthbench.toolkit.layers.resnet_generator import ResNetGenerator
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_pix2pixhd.config import Pix2PixHDConfig
from synthbench_pix2pixhd.training import Pix2PixHDTraining

__all__ = ["Pix2PixHD"]


class Pix2PixHD(FeatureMatchingGenerator[Pix2PixHDConfig]):
    """The global generator of pix2pixHD, trained against discriminators at several resolutions (Wang et al. 2018).

    The mask of an instance dataset is a distance per object, a foreground without inner borders, and the map of the
    boundaries between objects; of a semantic one, a plane per class. `preset` chooses between the published method and
    this project's additions; `docs/methods/pix2pixhd.md` compares them. Neither the local enhancer, for images of more
    than 1024², nor the encoder of instance features is built.
    """

    Config = Pix2PixHDConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1500, batch_size=2, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=4, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=1, patch_size=512),
    }
    random_stream = "pix2pixhd"

    @property
    def margin(self) -> int:
        return 0 if self.config.upsampling == "transposed" else super().margin

    def build_network(self) -> ResNetGenerator:
        config = self.config
        network = ResNetGenerator(
            self.condition_planes + resolved(config.noise_planes),
            self.codec.image_planes,
            resolved(config.ngf),
            resolved(config.n_downsample_global),
            resolved(config.n_blocks_global),
            resolved(config.upsampling),
        )
        return network.to(memory_format=torch.channels_last)

    def build_discriminator(self) -> MultiscaleDiscriminator:
        config = self.config
        discriminator = MultiscaleDiscriminator(
            self.condition_planes + self.codec.image_planes,
            resolved(config.ndf),
            config.n_layers_d,
            count=config.num_discriminators,
        )
        return discriminator.apply(initialise_normal)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> Pix2PixHDTraining:
        return Pix2PixHDTraining(self, batches, random)
